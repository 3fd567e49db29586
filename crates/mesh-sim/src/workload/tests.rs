//! Catalogues, gatherings, updates and traces; the order of it all; and that nodes don't shift each other's demands.

use std::collections::BTreeMap;

use mesh_proto::Timestamp;
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::draw::nanos;
use crate::select::Population;

/// Everything that a workload of this text wants of so many peers in so many seconds.
pub(super) fn demands(text: &str, seed: u64, nodes: u32, seconds: f64) -> Vec<Demand> {
    let workload: Workload = toml::from_str(text).unwrap();
    run(&workload, seed, nodes, seconds, &BTreeMap::new()).unwrap()
}

fn run(
    workload: &Workload,
    seed: u64,
    nodes: u32,
    seconds: f64,
    traces: &BTreeMap<String, Trace>,
) -> Result<Vec<Demand>, WorkloadError> {
    let population = Population::peers(nodes);
    let until = Timestamp(nanos(seconds));
    let all: Vec<Demand> = workload.demands(Setting { seed, population: &population, until, traces })?.collect();
    assert!(all.is_sorted_by_key(|demand| demand.at), "seed {seed}");
    assert!(all.iter().all(|demand| demand.at < until && demand.node < nodes), "seed {seed}");
    Ok(all)
}

const ALL: &str = r#"
[catalogue]
contents = 60
size_bytes = { kind = "log_normal", median = 4_000_000, sigma = 1.5 }
publishers = { kind = "one", node = 0 }
over_s = 100

[[activities]]
kind = "requests"
exponent = 0.8
arrivals = { kind = "poisson", per_hour = 60 }
heavy = { nodes = 0.3, requests = 0.7 }
day = { weights = [1, 3, 2], day_s = 900 }

[[activities]]
kind = "requests"
exponent = 1.1
arrivals = { kind = "burst", per_hour = 9, requests = { kind = "exponential", mean = 4 }, gap_s = 2 }
at_most_once = true

[[activities]]
kind = "flash_crowd"
content = 3
at_s = 600
over_s = 60

[[activities]]
kind = "transfers"
content = 7
at_s = 30
times = 3
every_s = 500

[[activities]]
kind = "churn"
up_s = "debian"
down_s = { kind = "exponential", mean = 300 }
crash_share = 0.5

[[activities]]
kind = "updates"
per_hour = 2
contents = 10
until_s = 3_000
"#;

#[test]
fn a_workload_reads_back_equal() {
    let workload: Workload = toml::from_str(ALL).unwrap();
    assert_eq!(workload.validate(), Ok(()));
    let text = toml::to_string(&workload).unwrap();
    assert_eq!(toml::from_str::<Workload>(&text).unwrap(), workload, "{text}");
}

proptest! {
    #[test]
    fn a_further_node_shifts_no_demand_of_the_others(seed: u64, nodes in 1u32..30) {
        let all = demands(ALL, seed, nodes + 1, 3_600.0);
        let of_others: Vec<Demand> = all.into_iter().filter(|demand| demand.node < nodes).collect();
        prop_assert_eq!(of_others, demands(ALL, seed, nodes, 3_600.0));
    }

    #[test]
    fn an_activity_of_another_kind_shifts_nothing(seed: u64) {
        let all = demands(ALL, seed, 9, 3_600.0);
        let mut fewer: Workload = toml::from_str(ALL).unwrap();
        fewer.activities.retain(|activity| !matches!(activity, Activity::Churn(_)));
        let fewer = run(&fewer, seed, 9, 3_600.0, &BTreeMap::new()).unwrap();
        let coming_and_going = |what| matches!(what, Want::Absent | Want::Leave | Want::Crash | Want::Return);
        let rest: Vec<Demand> = all.into_iter().filter(|demand| !coming_and_going(demand.what)).collect();
        prop_assert_eq!(rest, fewer);
    }

    #[test]
    fn contents_go_to_a_further_publisher_or_stay(seed: u64, nodes in 1u32..40, exponent in 0.0..2.0f64) {
        let text = format!(
            "[catalogue]\ncontents = 200\nsize_bytes = 1\npublishers = {{ kind = 'weighted', exponent = {exponent} }}"
        );
        let by = |nodes| demands(&text, seed, nodes, 1.0).into_iter().map(|demand| demand.node).collect::<Vec<_>>();
        prop_assert!(by(nodes).into_iter().zip(by(nodes + 1)).all(|(was, is)| was == is || is == nodes));
    }
}

#[test]
fn contents_are_shared_by_whom_and_when_it_says() {
    let text = "[catalogue]\ncontents = 3_000\nfrom_s = 10\nover_s = 50\nsize_bytes = { kind = 'pareto', least = 5, \
                shape = 0.5 }\nsize_bytes_max = 900\npublishers = { kind = 'weighted', exponent = 1 }";
    let all = demands(text, 2, 4, 100.0);
    assert_eq!(all.len(), 6_000);
    let (mut by, mut contents) = ([0; 4], Vec::new());
    for pair in all.chunks(2) {
        let (Want::Share { content, bytes }, Want::Announce { content: listed }) = (pair[0].what, pair[1].what) else {
            panic!("{pair:?}")
        };
        assert!((5..=900).contains(&bytes) && content == listed && pair[0].at == pair[1].at);
        assert!((nanos(10.0)..nanos(60.0)).contains(&pair[0].at.0));
        contents.push(content);
        by[pair[0].node as usize] += 1;
    }
    contents.sort_unstable();
    assert_eq!(contents, (0..3_000).collect::<Vec<_>>());
    // Weights 1, 1/2, 1/3, 1/4 of 25/12: 1,440, 720, 480, 360, within three standard deviations.
    let expected = [1_440i32, 720, 480, 360];
    assert!(by.iter().zip(expected).all(|(by, expected)| (by - expected).abs() < 83), "{by:?}");
    let unlisted = demands("[catalogue]\ncontents = 2\nsize_bytes = 8\nlisted = false", 1, 4, 9.0);
    assert_eq!(
        unlisted.iter().map(|demand| demand.what).collect::<Vec<_>>(),
        [Want::Share { content: 0, bytes: 8 }, Want::Share { content: 1, bytes: 8 }]
    );
}

#[test]
fn gatherings_get_what_they_say_when_they_say() {
    let mut crowds = ALL.split("[[activities]]");
    let catalogue = crowds.next().unwrap();
    let only = |kind: &str| {
        let of = ALL.split("[[activities]]").find(|part| part.contains(kind)).unwrap();
        let all = demands(&format!("{catalogue}[[activities]]{of}"), 4, 1_000, 3_600.0);
        all.into_iter().filter(|demand| !matches!(demand.what, Want::Share { .. } | Want::Announce { .. })).collect()
    };
    let crowd: Vec<Demand> = only("flash_crowd");
    let mut nodes: Vec<u32> = crowd.iter().map(|demand| demand.node).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, (0..1_000).collect::<Vec<_>>());
    assert!(crowd.iter().all(|demand| demand.what == Want::Get { content: 3 }));
    let mean_s = crowd.iter().map(|demand| demand.at.0 as f64 / 1e9).sum::<f64>() / 1_000.0;
    // Even over 600 to 660: a standard deviation of 0.55 around 630.
    assert!((mean_s - 630.0).abs() < 1.7 && crowd[0].at.0 >= nanos(600.0), "{mean_s}");
    let transfers: Vec<Demand> = only("transfers");
    assert_eq!(transfers.len(), 3_000);
    for (place, demand) in (0..).zip(&transfers) {
        let (time, node) = (place / 1_000, place % 1_000);
        let at = Timestamp(nanos(30.0 + 500.0 * f64::from(time)));
        assert_eq!(demand, &Demand { at, node, what: Want::Get { content: 7 + time } });
    }
}

#[test]
fn versions_ascend_by_one_and_come_as_often_as_asked() {
    let text = "[catalogue]\ncontents = 50\nsize_bytes = { kind = 'exponential', mean = 1e6 }\n[[activities]]\n\
                kind = 'updates'\nper_hour = 4\nfrom_s = 3600";
    let all = demands(text, 8, 5, 40.0 * 3_600.0);
    let publishers: BTreeMap<u32, u32> = (all.iter())
        .filter_map(|demand| match demand.what {
            Want::Share { content, .. } => Some((content, demand.node)),
            _ => None,
        })
        .collect();
    let mut versions = BTreeMap::new();
    for demand in &all {
        if let Want::Update { content, version, .. } = demand.what {
            assert_eq!(demand.node, publishers[&content]);
            assert!(demand.at.0 >= nanos(3_600.0));
            assert_eq!(versions.insert(content, version), (version > 1).then(|| version - 1));
        }
    }
    // Poisson: 50 contents × 4 per hour × 39 hours = 7,800, of which the root is 88.
    let updates: u32 = versions.values().sum();
    assert!((f64::from(updates) - 7_800.0).abs() < 290.0 && versions.len() == 50, "{updates}");
}

const TRACE: &str = "# from a school\ntime_s,node,action,content,bytes\n\n0,0,share,17,1048576\r\n0,0,announce,17,\n\
                     60,0,update,17,5\n12.5, 3, get, 17,\n90,3,leave,,\n90,3,return,,\n70,0,update,17,6\n";

#[test]
fn a_trace_is_read_in_order_of_time() {
    let workload: Workload = toml::from_str("[[activities]]\nkind = 'trace'\nfile = 'school.csv'").unwrap();
    assert_eq!(workload.files().collect::<Vec<_>>(), ["school.csv"]);
    let traces = BTreeMap::from([("school.csv".to_owned(), Trace::from_csv(TRACE).unwrap())]);
    let all = run(&workload, 1, 4, 1e3, &traces).unwrap();
    let demand = |seconds, node, what| Demand { at: Timestamp(nanos(seconds)), node, what };
    assert_eq!(
        all,
        [
            demand(0.0, 0, Want::Share { content: 17, bytes: 1_048_576 }),
            demand(0.0, 0, Want::Announce { content: 17 }),
            demand(12.5, 3, Want::Get { content: 17 }),
            demand(60.0, 0, Want::Update { content: 17, version: 1, bytes: 5 }),
            demand(70.0, 0, Want::Update { content: 17, version: 2, bytes: 6 }),
            demand(90.0, 3, Want::Leave),
            demand(90.0, 3, Want::Return),
        ]
    );
    assert_eq!(run(&workload, 1, 4, 12.5, &traces).unwrap().len(), 2);
    let few = run(&workload, 1, 3, 1e3, &traces).unwrap_err().to_string();
    assert_eq!(few, "activities[0].node of the trace is 3; allowed: numbers below 3 here");
    let none = run(&workload, 1, 4, 1e3, &BTreeMap::new()).unwrap_err().to_string();
    assert!(none.contains("`school.csv`, which was not read"), "{none}");
}

#[test]
fn a_broken_trace_names_the_line_and_what_is_allowed() {
    let broken = |row: &str| {
        let text = format!("time_s,node,action,content,bytes\n0,1,leave,,\n{row}\n");
        Trace::from_csv(&text).unwrap_err().to_string()
    };
    assert_eq!(broken("-1,0,get,1,"), "line 3: time_s is -1; allowed: 0 to 315360000");
    assert_eq!(broken("nan,0,get,1,"), "line 3: time_s is nan; allowed: 0 to 315360000");
    assert_eq!(broken("1,x,get,1,"), "line 3: node is x; allowed: 0 to 4294967294");
    assert_eq!(broken("1,0,get,1000000,"), "line 3: content is 1000000; allowed: 0 to 999999");
    assert_eq!(broken("1,0,get,1,7"), "line 3: bytes is 7; allowed: nothing for `get`");
    assert_eq!(broken("1,0,share,1,"), "line 3: bytes is empty; allowed: 1 to 17592186044416");
    assert_eq!(broken("1,0,get,1"), "line 3: number of fields is lower; allowed: 5");
    assert_eq!(broken("1,0,get,1,,"), "line 3: number of fields is higher; allowed: 5");
    assert!(broken("1,0,fetch,1,").contains("action is fetch; allowed: share, update"));
    assert!(broken(&format!("{},0,get,1,", "ä".repeat(1_000))).len() < 150);
    assert!(Trace::from_csv("").unwrap_err().to_string().starts_with("line 1: head is missing"));
}

proptest! {
    #[test]
    fn no_text_makes_a_trace_panic(text in "(time_s,node,action,content,bytes\n)?[0-9a-z,.\n-]{0,200}") {
        let _ = Trace::from_csv(&text);
    }
}

#[test]
fn what_is_wrong_in_a_workload_is_said_with_what_is_allowed() {
    let wrong = |text: &str| match toml::from_str::<Workload>(text) {
        Ok(workload) => run(&workload, 1, 5, 1e3, &BTreeMap::new()).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    let requests = |fields: &str| {
        let head = "[catalogue]\ncontents = 9\nsize_bytes = 1\n[[activities]]\nkind = 'requests'\nexponent = 1\n";
        wrong(&format!("{head}{fields}"))
    };
    let poisson = "arrivals = { kind = 'poisson', per_hour = 1 }";
    assert_eq!(
        requests("arrivals = { kind = 'poisson', per_hour = -2 }"),
        "activities[0].arrivals.per_hour is -2; allowed: 0 to 3600000"
    );
    assert_eq!(
        requests(&format!("{poisson}\nheavy = {{ nodes = 1, requests = 0.5 }}")),
        "activities[0].heavy.nodes is 1; allowed: 0.0001 to 0.9999"
    );
    assert!(requests(&format!("{poisson}\nhevy = 1")).contains("unknown field `hevy`"));
    assert_eq!(
        requests("arrivals = { kind = 'interval', every_s = 1 }\nday = { weights = [1] }"),
        "activities[0].arrivals.kind is interval; allowed: poisson or burst where a rate follows the day"
    );
    assert_eq!(
        requests(&format!("{poisson}\nfrom_s = 7\nuntil_s = 3")),
        "activities[0].until_s is 3; allowed: 7 to 315360000"
    );
    assert_eq!(
        wrong("[[activities]]\nkind = 'transfers'\nat_s = 1"),
        "activities[0] is about contents; allowed: only with a `catalogue`"
    );
    assert_eq!(
        wrong("[catalogue]\ncontents = 9\nsize_bytes = 1\n[[activities]]\nkind = 'transfers'\nat_s = 1\ntimes = 10"),
        "activities[0].content is 9; allowed: 0 to 8"
    );
    assert_eq!(
        wrong("[catalogue]\ncontents = 9\nsize_bytes = 1\npublishers = { kind = 'one', node = 5 }"),
        "catalogue.publishers.nodes is 5; allowed: numbers below 5 here"
    );
    let crowd = format!(
        "catalogue = {{ contents = 100_000, size_bytes = 1 }}\n{}",
        "[[activities]]\nkind = 'updates'\nper_hour = 0\n".repeat(21)
    );
    assert!(wrong(&crowd).ends_with("allowed: up to 2000000"));
    let churn = |up: &str| wrong(&format!("[[activities]]\nkind = 'churn'\ndown_s = 60\nup_s = {up}"));
    assert_eq!(churn("0.5"), "activities[0].up_s.mean is 0.5; allowed: 1 to 315360000");
    assert!(churn("{ kind = 'pareto', least = 9, shape = 1 }").contains("up_s.mean is inf"));
    assert!(churn("'bittorrent'").contains("unknown variant `bittorrent`, expected one of `debian`"));
}
