//! A small storm: the dialect's commands in random order, judged by what is applied and by who leads.
//!
//! It is no substitute for the simulator, which has frames, platters and clocks. It is quick, it needs nothing but
//! `raft` and `log`, and it finds what the scripts did not think of.

use kraftbed::prng::Prng;

use crate::raft::cluster::Cluster;

/// One storm; what went wrong, if anything did.
fn blow(seed: u64, settings: &str, actions: u32) -> Result<(), String> {
    let mut prng = Prng::new(seed, 9);
    let mut cluster = Cluster::default();
    let run = |cluster: &mut Cluster, line: &str| match cluster.run_line(line) {
        Err(error) if ["the node is down", "nothing is due"].iter().any(|is| error.to_string().contains(is)) => Ok(()),
        other => other.map_err(|error| format!("{line}: {error}")),
    };
    run(&mut cluster, &format!("cluster voters=3 disks=held {settings}").trim_end().replace("  ", " "))?;
    run(&mut cluster, "start")?;
    for _ in 0..actions {
        let id = prng.range(1..4) as u32;
        let count = cluster.message_count() as u64;
        match prng.below(100) {
            0..45 if count > 0 => {
                let index = prng.below(count) as usize;
                cluster.deliver_one(index).map_err(|error| format!("deliver: {error}"))?;
            }
            45..48 if count > 0 => cluster.lose_one(prng.below(count) as usize),
            48..72 => run(&mut cluster, &format!("disk {id} 1"))?,
            72..80 => run(&mut cluster, &format!("propose {id} records=2"))?,
            80..83 => run(&mut cluster, &format!("confirm {id}"))?,
            83..84 => run(&mut cluster, &format!("resign {id}"))?,
            84..93 => run(&mut cluster, &format!("advance {}ms", prng.range(1..80)))?,
            93..96 => run(&mut cluster, &format!("tick {id}"))?,
            96..98 if cluster.is_up(id) => {
                let stop = if prng.chance(1, 2) { "crash" } else { "kill" };
                run(&mut cluster, &format!("{stop} {id}"))?;
            }
            98..100 if !cluster.is_up(id) => run(&mut cluster, &format!("start {id}"))?,
            _ => {}
        }
    }
    Ok(())
}

#[test]
fn raft_survives_a_small_storm() {
    for seed in 0..60 {
        blow(seed, "", 6_000).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn raft_survives_a_small_storm_with_a_short_memory() {
    for seed in 0..30 {
        blow(seed, "tail=0 tail_bytes=100 recovery_point_bytes=200", 6_000)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}
