//! Results as a whole: read back, expected, and written as they always were.

use std::path::Path;

use insta::assert_snapshot;
use quick_xml::events::Event;

use super::*;
use crate::capture::EventKind;
use crate::random::Stream;
use crate::result::plot::{Axis, Bar, Plot, Shape};
use crate::result::trace::TraceRow;

/// A sweep over loss: two variants of three seeds each.
fn example() -> Results {
    let mut results = Results::new("newcomer", "How soon does a newcomer see | what exists?").expect("a name");
    for seed in 1..4 {
        for loss in ["2", "10"] {
            results.add(run(seed, loss)).expect("a run");
        }
    }
    results
}

fn run(seed: u64, loss: &str) -> Measured {
    let mut stream = Stream::new(seed, "example", 0);
    let mut run = Measured::new(seed);
    let slow = loss.parse::<f64>().expect("a number");
    run.set_parameter("loss_percent", loss).expect("a parameter");
    run.set_parameter("what, \"quoted\"", "x").expect_err("no name");
    run.set_parameter("place", "hills, \"north\"").expect("a parameter");
    (run.digest, run.events, run.virtual_ns) = (stream.next_u64(), 1_000 + seed, 60_000_000_000);
    run.set_scalar("seen", slow + stream.unit(), "s").expect("a measure");
    run.set_scalar("moved", 1e9 * (1.0 + stream.unit()), "bytes").expect("a measure");
    run.set_count("lost", (1 << 60) + seed).expect("a measure");
    for _ in 0..5 {
        run.add_to_sample("completion", slow * (1.0 + stream.unit()), "s").expect("a measure");
    }
    for step in 0..4 {
        let (time_ns, known) = (step * 5_000_000_000, 50.0 * step as f64 * (0.5 + stream.unit()));
        run.add_to_series("known", time_ns, known, "1").expect("a measure");
    }
    run
}

#[test]
fn results_read_back_as_they_were() {
    let results = example();
    let text = results.to_json();
    assert_eq!(Results::from_json(&text).expect("our own file"), results);
    assert_eq!(Results::from_json(&text).expect("our own file").to_json(), text);
}

#[test]
fn any_finite_value_reads_back_to_the_last_bit() {
    let mut stream = Stream::new(9, "bits", 0);
    let mut run = Measured::new(u64::MAX);
    let values: Vec<f64> = (0..5_000).map(|_| f64::from_bits(stream.next_u64())).collect();
    let values: Vec<f64> = values.into_iter().filter(|value| value.abs() <= VALUE_MAX).collect();
    values.iter().for_each(|value| run.add_to_sample("bits", *value, "1").expect("a measure"));
    let mut results = Results::new("bits", "").expect("a name");
    results.add(run).expect("a run");
    let read = Results::from_json(&results.to_json()).expect("our own file");
    let read = read.runs()[0].sample("bits").expect("a sample").values.kept();
    assert!(values.len() > 1_000 && read.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits()));
}

#[test]
fn a_wrong_file_is_refused_with_its_reason() {
    let text = example().to_json();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let error = Results::from_json(&text.replacen(from, to, 1)).expect_err(to);
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        format!("{error}{source}")
    };
    let refusals = [
        refused("\"version\": 1", "\"version\": 2"),
        refused("\"events\"", "\"evnets\""),
        refused("\"every\": 1", "\"every\": 2"),
        refused("\"unit\": \"bytes\"", "\"unit\": \"s\""),
        refused("\"seen\"", "\"../seen\""),
        refused("\"seed\": 1", "\"seed\": 2"),
        refused("\"loss_percent\": \"10\"", "\"loss_percent\": \"2\""),
        refused("\"unit\": \"s\"", "\"unit\": \"\""),
        refused("5000000000", "50000000000"),
        refused("1314049771.827108", "1e150"),
        Results::from_json("").expect_err("nothing").to_string(),
        Results::from_json(&"[".repeat(100_000)).expect_err("deep").to_string(),
    ];
    assert_snapshot!("refusals", refusals.join("\n"));
}

#[test]
fn a_measure_means_one_thing() {
    let mut run = Measured::new(1);
    run.set_scalar("time", 1.0, "s").expect("a measure");
    assert_eq!(run.set_scalar("time", 2.0, "s"), Err(MeasureError::Taken("time".to_owned())));
    assert_eq!(run.add_to_sample("time", 2.0, "s"), Err(MeasureError::Taken("time".to_owned())));
    run.add_to_sample("each", 1.0, "s").expect("a measure");
    assert!(matches!(run.add_to_sample("each", 1.0, "ms"), Err(MeasureError::UnitChanged { .. })));
    assert!(matches!(run.set_scalar("no", f64::NAN, "s"), Err(MeasureError::Value { .. })));
    assert!(matches!(run.set_scalar("No", 1.0, "s"), Err(MeasureError::Name(_))));
    run.add_to_series("level", 5, 1.0, "1").expect("a measure");
    assert_eq!(run.add_to_series("level", 4, 1.0, "1"), Err(MeasureError::TimeWentBack("level".to_owned())));
    let mut results = Results::new("one", "").expect("a name");
    results.add(run.clone()).expect("a run");
    assert!(matches!(results.add(run), Err(ResultsError::Twice(1))));
    let mut other = Measured::new(2);
    other.set_scalar("time", 1.0, "ms").expect("a measure");
    assert!(matches!(results.add(other), Err(ResultsError::Differs(name)) if name == "time"));
}

#[test]
fn variants_stand_in_the_order_of_their_numbers() {
    let results = example();
    let labels: Vec<String> = results.variants().iter().map(|variant| variant.label().to_owned()).collect();
    assert_eq!(labels, ["loss_percent=2", "loss_percent=10"]);
    assert!(results.runs().windows(2).all(|pair| pair[0].seed() <= pair[1].seed()));
}

#[derive(serde::Deserialize)]
struct Expected {
    expect: Vec<Expectation>,
}

fn expect(text: &str) -> Result<Expectation, String> {
    let text = format!("[[expect]]\n{text}");
    toml::from_str::<Expected>(&text).map(|mut all| all.expect.remove(0)).map_err(|error| error.message().to_owned())
}

#[test]
fn expectations_are_checked_over_all_runs_of_a_variant() {
    let results = example();
    let variants = results.variants();
    let said = [
        "measure = \"seen\"\nat_most = 4",
        "measure = \"seen\"\nat_most = 2.7",
        "measure = \"completion\"\nstatistic = \"p95\"\nat_least = 5",
        "measure = \"seen\"\nstatistic = \"max\"\nabout = 2.5\ntolerance = \"50%\"",
        "measure = \"lost\"\nstatistic = \"min\"\nabout = 1e18\ntolerance = 1e16",
    ]
    .map(|text| expect(text).expect("an expectation").check(&variants[0]).expect("runs").to_string());
    assert_snapshot!("verdicts", said.join("\n"));
    let missing = expect("measure = \"nothing\"\nat_most = 1").expect("an expectation").check(&variants[0]);
    assert_eq!(missing, Err(ExpectationError::Missing { measure: "nothing".to_owned(), seed: 1 }));
}

#[test]
fn a_verdict_is_sure_when_the_whole_interval_agrees() {
    let results = example();
    let variants = results.variants();
    // The mean of `seen` is 2.48 s, its interval 1.71 s to 3.26 s.
    let verdict = |bound: &str| {
        let expectation = expect(&format!("measure = \"seen\"\n{bound}")).expect("an expectation");
        let verdict = expectation.check(&variants[0]).expect("runs");
        (verdict.held, verdict.sure)
    };
    let cases = [
        ("at_most = 3.3", (true, Some(true))),
        ("at_most = 3.2", (true, Some(false))),
        ("at_most = 1.8", (false, Some(false))),
        ("at_most = 1.7", (false, Some(true))),
        ("at_least = 1.7", (true, Some(true))),
        ("at_least = 3.3", (false, Some(true))),
        ("about = 2.5\ntolerance = 1", (true, Some(true))),
        ("about = 3\ntolerance = 0.1", (false, Some(false))),
        ("about = 9\ntolerance = 1", (false, Some(true))),
    ];
    for (bound, expected) in cases {
        assert_eq!(verdict(bound), expected, "{bound}");
    }
}

#[test]
fn wrong_expectations_are_refused_with_their_reason() {
    let refusals = [
        "measure = \"seen\"",
        "measure = \"seen\"\nat_most = 1\nat_least = 1",
        "measure = \"seen\"\nabout = 1",
        "measure = \"seen\"\nabout = 1\ntolerance = \"ten\"",
        "measure = \"seen\"\nabout = 1\ntolerance = -1",
        "measure = \"seen\"\nat_most = nan",
        "measure = \"seen\"\nat_most = 1\nstatistic = \"p100\"",
        "measure = \"seen\"\nat_most = 1\nmost = 2",
    ]
    .map(|text| expect(text).expect_err(text));
    assert_snapshot!("wrong_expectations", refusals.join("\n---\n"));
    let parts = "measure = \"a\"\nstatistic = \"p99.95\"\nabout = 2.0\ntolerance = \"10%\"\n";
    let again = toml::to_string(&expect(parts).expect("an expectation")).expect("TOML");
    assert_eq!(again, parts);
}

#[test]
fn tables_and_lists_are_as_they_always_were() {
    let results = example();
    assert_snapshot!("terminal", table::terminal(&results));
    assert_snapshot!("markdown", table::markdown(&results));
    assert_snapshot!("runs_csv", csv::runs(&results).replace("\r\n", "␍␊\n"));
    assert_snapshot!("samples_csv", csv::samples(&results).replace("\r\n", "␍␊\n"));
    let variants = results.variants();
    assert_snapshot!("comparison", table::comparison(&compare(&variants[0], &variants[1])));
}

#[test]
fn one_seed_gives_no_interval_and_it_is_said() {
    let mut results = Results::new("lone", "").expect("a name");
    results.add(run(1, "2")).expect("a run");
    let table = table::terminal(&results);
    assert!(table.contains("One seed gives no interval") && table.contains(" – "), "{table}");
    assert!(pictures(&results).iter().all(|(_, plot)| plot.note.contains("one seed: no interval")));
}

fn bars_with_wild_names() -> Plot {
    let wild = "</text>&\"'\u{1}\u{ffff}\n]]>é";
    let bar = Bar { name: wild.to_owned(), value: -1.0, interval: Some((-2.0, 1.0)) };
    let axis = Axis::new(wild, wild);
    Plot { title: wild.to_owned(), note: wild.to_owned(), x: axis.clone(), y: axis, shape: Shape::Bars(vec![bar]) }
}

fn all_plots() -> Vec<(String, Plot)> {
    let mut plots = pictures(&example());
    let mut places = ring(5);
    places[0].group = "gateway".to_owned();
    plots.push((
        "topology".to_owned(),
        topology("ring of five", places, (0..5).map(|node| (node, (node + 1) % 5)).collect()),
    ));
    plots.push(("wild".to_owned(), bars_with_wild_names()));
    plots
}

#[test]
fn plots_are_as_they_always_were() {
    for name in ["value-seen", "histogram-completion", "topology", "wild"] {
        let plots = all_plots();
        let (_, plot) = plots.iter().find(|(other, _)| other == name).expect(name);
        assert_snapshot!(format!("svg_{name}"), svg(plot));
        assert_snapshot!(format!("vega_{name}"), vega(plot));
    }
    // The others are long: their digest stands for them.
    let digest = |text: String| blake3::hash(text.as_bytes()).to_hex()[..16].to_owned();
    let lines =
        all_plots().into_iter().map(|(name, plot)| format!("{name} {} {}", digest(svg(&plot)), digest(vega(&plot))));
    assert_snapshot!("plots", lines.collect::<Vec<_>>().join("\n"));
}

/// Reads a picture to its end; gives back its elements.
fn elements(name: &str, text: &str) -> Vec<String> {
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let (mut elements, mut open) = (Vec::new(), 0_i32);
    loop {
        let event = reader.read_event().unwrap_or_else(|error| panic!("{name}: {error}"));
        let of = |start: &quick_xml::events::BytesStart<'_>| {
            start.attributes().for_each(|attribute| drop(attribute.unwrap_or_else(|error| panic!("{name}: {error}"))));
            start.name().as_ref().to_owned()
        };
        match event {
            Event::Start(start) => {
                elements.push(of(&start));
                open += 1;
            }
            Event::Empty(start) => elements.push(of(&start)),
            Event::End(_) => open -= 1,
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(open, 0, "{name} ends before its elements");
    elements
}

#[test]
fn pictures_are_well_formed() {
    for (name, plot) in all_plots() {
        let text = svg(&plot);
        let elements = elements(&name, &text);
        assert_eq!((elements[0].as_str(), elements.iter().filter(|element| *element == "svg").count()), ("svg", 1));
        assert!(!text.contains("NaN") && !text.contains("inf"), "{name}: {text}");
    }
    let empty = [Shape::Bars(Vec::new()), Shape::Histogram(Vec::new()), Shape::Network(Vec::new(), Vec::new())];
    for shape in empty {
        let plot = Plot { shape, ..bars_with_wild_names() };
        let text = svg(&plot);
        elements("empty", &text);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        serde_json::from_str::<serde_json::Value>(&vega(&plot)).expect("JSON");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn everything_is_written_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = example();
    let files = write_all(&results, folder.path()).expect("a folder to write to");
    let contents = |files: &[std::path::PathBuf]| -> Vec<Vec<u8>> {
        files.iter().map(|file| std::fs::read(file).expect("a file")).collect()
    };
    let first = contents(&files);
    assert_eq!(write_all(&results, folder.path()).expect("the same folder"), files);
    assert_eq!(contents(&files), first);
    assert_eq!(names(folder.path()), ["plots", "results.json", "runs.csv", "samples.csv", "table.md", "table.txt"]);
    assert_eq!(names(&folder.path().join("plots")).len() + 5, files.len());
    assert_eq!(Results::read(&folder.path().join("results.json")).expect("our own file"), results);
}

#[test]
fn plots_of_earlier_results_go_and_other_files_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    write_all(&example(), folder.path()).expect("a folder to write to");
    let plots = folder.path().join("plots");
    std::fs::write(plots.join("mine.svg"), "").expect("a folder to write to");
    write_all(&example().only(&["seen".to_owned()]), folder.path()).expect("the same folder");
    assert_eq!(names(&plots), ["mine.svg", "value-seen.svg", "value-seen.vl.json"]);
}

#[test]
fn a_file_that_fails_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    // A folder stands where the file would go.
    std::fs::create_dir(folder.path().join("runs.csv")).expect("a folder");
    let error = write_all(&example(), folder.path()).expect_err("a folder is in the way");
    assert!(matches!(&error, WriteError::File { path, .. } if path.ends_with("runs.csv")), "{error}");
    assert_eq!(names(folder.path()), ["results.json", "runs.csv"]);
    assert!(write_plot(&bars_with_wild_names(), folder.path(), "../out").is_err());
}

#[test]
fn a_trace_is_written_as_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let row = TraceRow {
        time_ns: 1,
        kind: EventKind::Input,
        node: Some(1),
        peer: None,
        what: "have",
        content: None,
        bytes: None,
        print: 7,
    };
    let file = write_trace([row; 10], folder.path()).expect("a folder to write to");
    let bytes = std::fs::read(&file).expect("a file");
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    assert_eq!(names(folder.path()), ["trace.parquet"]);
}
