//! Tests of [`crate::node::settings`], first of all on the files of Kafka's Raft README.

use super::*;

const README_2: &str = "broker.id=2\nlisteners=PLAINTEXT://localhost:9093\n\
    quorum.bootstrap.servers=localhost:9092,localhost:9093,localhost:9094\nquorum.bootstrap.voters=1,2,3\n\
    log.dirs=/tmp/raft-logs-2\nverbose=true\nzookeeper.connect=localhost:2181\n";

fn read(text: &str) -> Result<ServerConfig, String> {
    let properties = Properties::parse(text.as_bytes()).expect("well-formed");
    ServerConfig::of(&properties).map_err(|error| error.to_string())
}

fn voters(config: &ServerConfig) -> Vec<String> {
    let voters = config.node.raft.voters.iter();
    voters.map(|voter| format!("{}@{}", voter.key.id, voter.endpoints[0].endpoint)).collect()
}

#[test]
fn the_files_of_the_readme_start_three_nodes() {
    let config = read(README_2).expect("as in the README");
    assert_eq!(config.node.raft.id, ReplicaId(2));
    assert_eq!(voters(&config), ["1@localhost:9092", "2@localhost:9093", "3@localhost:9094"]);
    assert_eq!(config.log_dir, "/tmp/raft-logs-2");
    assert_eq!(config.listeners, config.node.advertised);
    assert!(config.node.verbose);
    assert_eq!(config.warnings, [""; 0]);
    assert_eq!(config.ignored, ["line 7: zookeeper.connect means nothing here"]);
    assert_eq!(&*config.node.cluster_id, "AAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(config.node.raft.election_timeout, Duration::from_secs(1), "today's default");
}

#[test]
fn a_time_that_kafka_could_not_hold_is_refused() {
    let read = |millis: &str| read(&README_2.replace("verbose=true", &format!("quorum.fetch.timeout.ms={millis}")));
    assert_eq!(read("2147483647").expect("32 bits").node.raft.fetch_timeout, Duration::from_millis(2_147_483_647));
    let error = read("2147483648").expect_err("too long");
    assert_eq!(error, "line 6: quorum.fetch.timeout.ms: expected at most 2147483647 milliseconds, found 2147483648");
}

/// Bits, bytes, pieces: a file is refused or understood in some other way.
#[test]
fn mutated_files_never_panic() {
    let mut prng = crate::prng::Prng::new(11, 0);
    let mut understood = 0;
    for _ in 0..5_000 {
        let mut bytes = README_2.as_bytes().to_vec();
        for _ in 0..prng.range(1..5) {
            let at = prng.below(bytes.len() as u64) as usize;
            match prng.below(4) {
                0 => bytes[at] ^= 1 << prng.below(8),
                1 => bytes[at] = *prng.pick(b"=:\\\n ,#u9-@/"),
                2 => bytes.truncate(at.max(1)),
                _ => {
                    let piece: Vec<u8> = bytes[at..].iter().take(12).copied().collect();
                    bytes.splice(0..0, piece);
                }
            }
        }
        let Ok(properties) = Properties::parse(&bytes) else { continue };
        understood += usize::from(ServerConfig::of(&properties).is_ok());
    }
    assert!(understood > 100, "{understood}");
}

#[test]
fn all_generations_of_keys_say_the_same() {
    let merged = "broker.id=2\nlisteners=PLAINTEXT://localhost:9093\nlog.dirs=d\n\
        quorum.voters=1@localhost:9092,2@localhost:9093,3@localhost:9094\nquorum.fetch.timeout.ms=77\n";
    let today = "node.id=2\nprocess.roles=controller\nlisteners=PLAINTEXT://localhost:9093\nlog.dirs=d\n\
        controller.listener.names=PLAINTEXT\ncontroller.quorum.fetch.timeout.ms=77\n\
        controller.quorum.voters=1@localhost:9092,2@localhost:9093,3@localhost:9094\n";
    for text in [merged, today] {
        let config = read(text).expect("well-formed");
        assert_eq!(voters(&config), voters(&read(README_2).expect("as in the README")));
        assert_eq!(config.node.raft.fetch_timeout, Duration::from_millis(77));
        assert_eq!(config.warnings, [""; 0]);
    }
}

#[test]
fn a_node_without_a_quorum_is_one() {
    let config = read("node.id=0\nlisteners=PLAINTEXT://:9092\nlog.dirs=d").expect("well-formed");
    assert_eq!(voters(&config), ["0@localhost:9092"]);
    assert_eq!(config.listeners[0].endpoint, Endpoint::new("", 9092), "every address is bound");
    assert_eq!(config.warnings, ["no quorum is named: node 0 is a quorum of its own"]);
}

#[test]
fn a_node_that_is_not_where_the_quorum_looks_for_it_is_told() {
    let config = read("node.id=1\nlisteners=PLAINTEXT://h:9092\nlog.dirs=d\nquorum.voters=1@h:9093,2@i:9093");
    assert_eq!(
        config.expect("well-formed").warnings,
        ["the quorum has node 1 at h:9093, but it is advertised at h:9092"]
    );
}

#[test]
fn what_cannot_work_is_refused() {
    let refused = |listeners: &str, voters: &str| {
        let text = format!("node.id=1\nlisteners={listeners}\nlog.dirs=d\nquorum.voters={voters}");
        read(&text).expect_err("it cannot work").to_string()
    };
    let told = refused("SSL://h:9092", "1@h:9092");
    assert!(told.contains("expected a plaintext listener, found SSL"), "{told}");
    let told = refused("PLAINTEXT://h:9092", "1@h:9092,2@h:9092");
    assert!(told.contains("voters 1 and 2 are both at h:9092"), "{told}");
}

#[test]
fn a_listener_on_every_interface_is_advertised_as_the_quorum_knows_it() {
    for host in ["", "0.0.0.0", "[::]"] {
        let text = format!("node.id=1\nlisteners=PLAINTEXT://{host}:9092\nlog.dirs=d\nquorum.voters=1@h:9092,2@i:9092");
        let config = read(&text).expect("well-formed");
        assert_eq!(config.node.advertised[0].endpoint, Endpoint::new("h", 9092), "{host:?}");
        assert_eq!(config.warnings, [""; 0]);
    }
}

#[test]
fn peers_use_the_controller_listener() {
    let config = read(
        "node.id=1\nlog.dirs=d\nlisteners=PLAINTEXT://:9092,CONTROLLER://[::1]:9093\n\
         advertised.listeners=PLAINTEXT://example.org:19092\ncontroller.listener.names=CONTROLLER\n\
         controller.quorum.voters=1@[::1]:9093,2@other:9093",
    )
    .expect("well-formed");
    let named: Vec<String> = config.node.advertised.iter().map(|at| format!("{}://{}", at.name, at.endpoint)).collect();
    assert_eq!(named, ["CONTROLLER://[::1]:9093", "PLAINTEXT://example.org:19092"]);
    assert_eq!(&*config.node.raft.voters.find(ReplicaId(2)).expect("a voter").endpoints[0].name, "CONTROLLER");
}

#[test]
fn contradictions_name_both_places() {
    let base = "log.dirs=d\nlisteners=PLAINTEXT://h:1\n";
    let cases = [
        ("node.id=1\nbroker.id=2", "line 3 and line 4: node.id is \"1\" and broker.id is \"2\""),
        (
            "node.id=1\nquorum.voters=1@a:1\ncontroller.quorum.voters=1@b:1",
            "line 5 and line 4: controller.quorum.voters is \"1@b:1\" and quorum.voters is \"1@a:1\"",
        ),
        (
            "node.id=1\nquorum.bootstrap.servers=a:1,b:2\nquorum.bootstrap.voters=1,2,3",
            "line 4 and line 5: 2 servers and 3 voters cannot be paired",
        ),
        (
            "node.id=1\ncontroller.quorum.voters=1@a:1\ncontroller.quorum.bootstrap.servers=a:1",
            "line 4 and line 5: static voters and controller.quorum.bootstrap.servers exclude each other",
        ),
        ("node.id=1\nquorum.voters=1@a:1,1@b:1", "line 4: quorum.voters: voter 1 is named twice"),
        ("node.id=-1", "line 3: node.id: expected a node id of 0 or more, found \"-1\""),
        ("node.id=1\nquorum.voters=1@a", "line 4: quorum.voters: expected host:port, found \"a\""),
        ("node.id=1\nverbose=yes", "line 4: verbose: expected true or false, found \"yes\""),
        (
            "node.id=1\nquorum.election.jitter.max.ms=5\nquorum.election.backoff.max.ms=6",
            "line 5 and line 4: quorum.election.backoff.max.ms is \"6\" and quorum.election.jitter.max.ms is \"5\"",
        ),
        ("", "node.id (or broker.id) is missing"),
    ];
    for (text, error) in cases {
        assert_eq!(read(&format!("{base}{text}")).expect_err("a contradiction"), error);
    }
    assert_eq!(
        read("node.id=1\nlog.dirs=a,b").expect_err("two"),
        "line 2: log.dirs: expected one directory, found several"
    );
    assert_eq!(read("node.id=1").expect_err("none"), "log.dirs is missing");
}

#[test]
fn unknown_keys_are_warned_about_with_the_nearest_known_one() {
    let config = read("node.id=1\nlog.dirs=d\nlisteners=PLAINTEXT://h:1\nquorum.voter=1@a:1\nlog.dirs=e\nzzz=1");
    let config = config.expect("well-formed");
    assert_eq!(
        config.warnings,
        [
            "log.dirs is set at line 2 and again at line 5, which wins",
            "line 4: quorum.voter is not known here; the nearest known key is quorum.voters",
            "line 6: zzz is not known here",
            "no quorum is named: node 1 is a quorum of its own",
        ]
    );
    assert_eq!(config.log_dir, "e");
}
