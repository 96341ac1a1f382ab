use kraftbed::scenario::Scenario;
use kraftbed::sim::{run, RunOptions};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let text = std::fs::read_to_string(&a[1]).unwrap();
    let props = kraftbed::check::all();
    let known: Vec<&str> = props.iter().map(|p| p.0).collect();
    let s = Scenario::parse(&a[1], &text, &known).unwrap_or_else(|e| panic!("{e}"));
    let (from, n): (u64, u64) = (a[2].parse().unwrap(), a[3].parse().unwrap());
    let trace = a.get(4).is_some();
    let t = std::time::Instant::now();
    let (mut ev, mut bad, mut vt, mut ops) = (0, 0, 0.0, 0);
    let mut total: std::collections::BTreeMap<String,u64> = Default::default();
    for seed in from..from + n {
        let plan = s.draw(seed, "x");
        let f = run(&plan, RunOptions { trace: if trace { kraftbed::sim::recorder::Trace::Recorded } else { Default::default() }, until: None });
        ev += f.outcome.events; vt += f.outcome.virtual_time.as_secs_f64(); ops += f.outcome.operations;
        for (k,v) in &f.outcome.exercised { *total.entry(k.clone()).or_default() += v; }
        for (k,v) in &f.outcome.doses { *total.entry(format!("fault {k:?}")).or_default() += v; }
        if trace { for e in &f.outcome.trace { println!("{:?} c={:?} {} {:?} {:?}", e.id.0, e.cause.map(|c| c.0), e.at, e.place, e.kind); } println!("{:#?}", plan); }
        if !matches!(f.outcome.verdict, kraftbed::outcome::Verdict::Passed) { bad += 1; if bad < 12 { println!("seed {seed}: {:?} settled {:?} ops {}", f.outcome.verdict, f.outcome.settled_in, f.outcome.operations); } }
    }
    let e = t.elapsed().as_secs_f64();
    for (k,v) in &total { println!("{k} {v}"); }
    println!("{n} runs {bad} bad {ev} events {ops} ops {vt:.0} vs {e:.2}s  {:.0} ev/s {:.1} seeds/s", ev as f64 / e, n as f64 / e);
}
