//! One connection: correlation, negotiation, what is outstanding.
