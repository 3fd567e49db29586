//! Links against theory: what is drawn has the mean, the quantiles, the bursts and the hours that were asked for.

use std::sync::Arc;

use mesh_proto::Timestamp;
use proptest::prelude::{Strategy, any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::burst::Bursts;
use super::units::{parse_rate, parse_size, parse_time, rate_text, size_text, time_text};
use super::{
    Latency, LinkChoice, LinkError, LinkQuality, LinkQueue, LinkState, Loss, Preset, Schedule, TraceSteps, Window,
};
use crate::Stream;

const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

fn latencies() -> [Latency; 7] {
    [
        Latency::Constant { time_ns: 5 * MS },
        Latency::Uniform { min_ns: MS, max_ns: 3 * MS },
        Latency::Normal { mean_ns: 15 * MS, deviation_ns: 2 * MS, min_ns: 10 * MS },
        // Half of it is cut: the mean is far from the parameter.
        Latency::Normal { mean_ns: 10 * MS, deviation_ns: 5 * MS, min_ns: 10 * MS },
        Latency::LogNormal { median_ns: 4 * MS, sigma: 0.7 },
        Latency::Exponential { min_ns: 2 * MS, mean_ns: 5 * MS },
        Latency::Pareto { min_ns: 2 * MS, shape: 3.5 },
    ]
}

#[test]
fn drawn_latencies_have_the_mean_and_the_quantiles_of_theory() {
    for latency in latencies() {
        latency.check().unwrap();
        let mut stream = Stream::new(11, "latency", 0);
        let mut drawn: Vec<u64> = (0..200_000).map(|_| latency.draw(&mut stream)).collect();
        assert_eq!(stream, after(200_000), "each draw takes one number");
        drawn.sort_unstable();
        let mean = drawn.iter().map(|ns| *ns as f64).sum::<f64>() / drawn.len() as f64;
        let expected = latency.mean_ns() as f64;
        assert!((mean / expected - 1.0).abs() < 0.005, "{latency:?}: mean {mean}, not {expected}");
        for percent in [1, 10, 50, 90, 99] {
            let (found, expected) = (drawn[2000 * percent], latency.quantile_ns(percent as f64 / 100.0));
            let off = (found as f64 / expected as f64 - 1.0).abs();
            assert!(off < 0.02, "{latency:?}: {percent} % at {found}, not {expected}");
        }
    }
}

fn after(numbers: u64) -> Stream {
    let mut stream = Stream::new(11, "latency", 0);
    (0..numbers).for_each(|_| _ = stream.next_u64());
    stream
}

#[test]
fn quantiles_are_those_of_the_textbook() {
    let uniform = Latency::Uniform { min_ns: 100, max_ns: 300 };
    assert_eq!((uniform.quantile_ns(0.25), uniform.mean_ns()), (150, 200));
    let exponential = Latency::Exponential { min_ns: 1000, mean_ns: 2000 };
    assert_eq!(exponential.quantile_ns(0.5), 1693, "1000 + 1000 ln 2");
    let pareto = Latency::Pareto { min_ns: 1000, shape: 2.0 };
    assert_eq!((pareto.quantile_ns(0.75), pareto.mean_ns()), (2000, 2000));
    let log_normal = Latency::LogNormal { median_ns: 1000, sigma: 1.0 };
    assert_eq!((log_normal.quantile_ns(0.5), log_normal.mean_ns()), (1000, 1649), "1000 √e");
    let half = Latency::Normal { mean_ns: 1000, deviation_ns: 1000, min_ns: 1000 };
    assert_eq!((half.quantile_ns(0.0), half.mean_ns()), (1000, 1798), "1000 + 1000 √(2/π)");
    let heavy = Latency::Pareto { min_ns: 60 * S, shape: 1.1 };
    assert_eq!(heavy.quantile_ns(1.0), super::LATENCY_NS_MAX, "cut at the limit");
}

/// How often, and in which runs, a link with bursts is found bad when asked every so often.
fn bad_runs(good_ns: u64, bad_ns: u64, every_ns: u64, asks: u64) -> (f64, f64) {
    let mut bursts = Bursts::new(good_ns, bad_ns, Stream::new(5, "states", 0));
    let (mut bad, mut runs, mut was_bad) = (0u64, 0u64, false);
    for ask in 0..asks {
        let is_bad = bursts.at(Timestamp(ask * every_ns)).is_bad;
        bad += u64::from(is_bad);
        runs += u64::from(is_bad && !was_bad);
        was_bad = is_bad;
    }
    (bad as f64 / asks as f64, bad as f64 / runs as f64)
}

#[test]
fn bursts_have_the_share_and_the_length_of_gilbert_and_elliott() {
    for (good, bad) in [(900 * MS, 100 * MS), (200 * MS, 200 * MS), (50 * MS, 450 * MS)] {
        let every = 10 * MS;
        let (share, run) = bad_runs(good, bad, every, 4_000_000);
        let expected_share = bad as f64 / (good + bad) as f64;
        // Asked every so often, the chain stays bad with π + (1 − π) e^(−t (1/good + 1/bad)).
        let decay = libm::exp(-(every as f64) * (1.0 / good as f64 + 1.0 / bad as f64));
        let expected_run = 1.0 / (1.0 - (expected_share + (1.0 - expected_share) * decay));
        assert!((share / expected_share - 1.0).abs() < 0.02, "bad {share} of the time, not {expected_share}");
        assert!((run / expected_run - 1.0).abs() < 0.02, "runs of {run}, not {expected_run}");
    }
}

#[test]
fn frames_are_lost_in_each_state_as_often_as_it_says() {
    let loss = Loss::GilbertElliott {
        good_mean_ns: 400 * MS,
        bad_mean_ns: 100 * MS,
        good_loss_ppm: 10_000,
        bad_loss_ppm: 310_000,
    };
    assert_eq!(loss.mean_ppm(), 70_000);
    let mut state = state_of(loss);
    let mut stream = Stream::new(1, "frames", 0);
    let lost = (0..2_000_000u64).filter(|frame| state.is_lost(Timestamp(frame * 5 * MS), &mut stream)).count();
    assert!((lost as f64 / 2e6 - 0.07).abs() < 0.001, "{lost} of two million");
    assert_eq!(state.loss_ppm(Timestamp(0)), 70_000, "short states are shown by their mean");
    assert_eq!(state.next_change(Timestamp(0)), None);
}

fn state_of(loss: Loss) -> LinkState {
    let quality = LinkQuality { loss, ..LinkQuality::new(Latency::Constant { time_ns: 1 }, 1000) };
    quality.check().unwrap();
    LinkState::new(quality, Stream::new(9, "states", 0))
}

#[test]
fn slow_states_are_shown_one_by_one_with_their_ends() {
    let loss =
        Loss::GilbertElliott { good_mean_ns: 20 * S, bad_mean_ns: 4 * S, good_loss_ppm: 0, bad_loss_ppm: 500_000 };
    let mut state = state_of(loss);
    let (mut now, mut lossy_ns, mut changes) = (Timestamp::ZERO, 0, 0);
    while now.0 < 40_000 * S {
        let next = state.next_change(now).unwrap();
        assert!(next > now);
        lossy_ns += if state.loss_ppm(now) == 0 { 0 } else { next.0 - now.0 };
        (now, changes) = (next, changes + 1);
    }
    assert!((lossy_ns as f64 / now.0 as f64 - 4.0 / 24.0).abs() < 0.01, "{lossy_ns} of {now:?}");
    assert!((3000..3700).contains(&changes), "{changes}");
}

proptest! {
    #[test]
    fn whoever_asks_when_the_state_at_a_moment_is_the_same(
        seed: u64, good in 1u64..5000, bad in 1u64..5000,
        asks in prop::collection::vec(prop_oneof_times(), 1..60),
    ) {
        let fresh = || Bursts::new(good, bad, Stream::new(seed, "states", 1));
        let mut asked = fresh();
        for ask in asks {
            let stay = asked.at(Timestamp(ask));
            prop_assert_eq!(stay, fresh().at(Timestamp(ask)));
            let ask = ask.min(u64::MAX - 1);
            prop_assert!(stay.from.0 <= ask && ask < stay.until.0);
        }
    }

    #[test]
    fn a_schedule_changes_where_it_says_and_nowhere_else(
        period in 1u64..200, cuts in prop::collection::btree_set(0u64..=200, 0..10), now in 0u64..1000,
    ) {
        let cuts: Vec<u64> = cuts.into_iter().filter(|cut| *cut <= period).collect();
        // Every second one begins where the one before ended, in half of the cases.
        let windows: Vec<Window> = if period % 2 == 0 {
            cuts.windows(2).map(|pair| Window { from_ns: pair[0], until_ns: pair[1] }).collect()
        } else {
            cuts.chunks_exact(2).map(|pair| Window { from_ns: pair[0], until_ns: pair[1] }).collect()
        };
        let schedule = Schedule { period_ns: period, windows };
        prop_assert_eq!(schedule.check(), Ok(()));
        let is_on = schedule.is_on(Timestamp(now));
        let phase = now % period;
        prop_assert_eq!(is_on, schedule.windows.iter().any(|w| w.from_ns <= phase && phase < w.until_ns));
        let slow = (now + 1..=now + 2 * period).find(|later| schedule.is_on(Timestamp(*later)) != is_on);
        prop_assert_eq!(schedule.next_change(Timestamp(now)), slow.map(Timestamp));
    }

    #[test]
    fn a_trace_replays_its_steps_and_begins_again(
        period_us in 1u64..100, cuts in prop::collection::btree_map(0u64..100, 0u8..2, 1..10), now_us in 0u64..1000,
    ) {
        let steps_us: Arc<[(u64, u8)]> = cuts.into_iter().filter(|(at, _)| *at < period_us).collect();
        if steps_us.is_empty() {
            return Ok(());
        }
        let trace = TraceSteps { period_ns: period_us * 1000, steps_us };
        prop_assert_eq!(trace.check(), Ok(()));
        let slow = |us: u64| {
            let phase = us % period_us;
            trace.steps_us.iter().rev().find(|(at, _)| *at <= phase).or(trace.steps_us.last()).unwrap().1 == 1
        };
        let (is_lost, until) = trace.at(Timestamp(now_us * 1000));
        prop_assert_eq!(is_lost, slow(now_us));
        prop_assert!(until.0 % 1000 == 0 && until.0 > now_us * 1000);
        prop_assert!((now_us..until.0 / 1000).all(|us| slow(us) == is_lost));
        let lost = (0..period_us).filter(|us| slow(*us)).count() as u64;
        prop_assert_eq!(u64::from(trace.mean_ppm()), lost * 1_000_000 / period_us);
    }

    #[test]
    fn quantities_read_back_as_they_were_written(amount: u64) {
        prop_assert_eq!(parse_time(&time_text(amount % 1_000_000_000_000_000)), Ok(amount % 1_000_000_000_000_000));
        let amount = amount >> 12;
        prop_assert_eq!(parse_size(&size_text(amount)), Ok(amount));
        prop_assert_eq!(parse_rate(&rate_text(amount)), Ok(amount));
        prop_assert_eq!(parse_rate(&rate_text(amount * 125)), Ok(amount * 125));
    }

    #[test]
    fn no_text_makes_the_reader_of_quantities_panic(text in any::<String>()) {
        _ = (parse_time(&text), parse_size(&text), parse_rate(&text));
    }
}

fn prop_oneof_times() -> impl Strategy<Value = u64> {
    // Near each other, far away, and at the end of time.
    (any::<u64>(), 0u32..3).prop_map(|(word, kind)| match kind {
        0 => word % 20_000,
        1 => word % 20_000_000,
        _ => u64::MAX - word % 3,
    })
}

#[test]
fn quantities_are_read_as_people_mean_them() {
    let rates = ["100 Mbit/s", "2 kbit/s", "1.5 Mbit/s", "300 bit/s", "10 Mbit", "81920 Kibit", "5 MiB/s", "12B/s"];
    let read: Vec<u64> = rates.iter().map(|text| parse_rate(text).unwrap()).collect();
    assert_eq!(read, [12_500_000, 250, 187_500, 37, 1_250_000, 10_485_760, 5 << 20, 12]);
    assert_eq!(parse_time("1.5 s"), Ok(1_500_000_000));
    assert_eq!(parse_time(" 95min "), Ok(95 * 60 * S));
    assert_eq!(parse_size("64 KiB"), Ok(65_536));
    for text in ["", "5", "ms", "5 parsec", "-5 ms", "1.2.3 s", "5. ms", ".5 ms", "1e3 ms", "9999999999999999 d"] {
        assert!(parse_time(text).is_err(), "{text}");
    }
    let error = parse_rate("5 ms").unwrap_err().to_string();
    assert!(error.starts_with("\"5 ms\" is not a rate; write whole bytes per second"), "{error}");
}

#[test]
fn what_comes_later_takes_its_time_of_a_link_and_leaves_the_rest_to_others() {
    let rate = 1000;
    let mut queue = LinkQueue::default();
    assert_eq!(queue.offer_ahead(Timestamp(0), Timestamp(10 * S), 1000, rate, 0), Timestamp(11 * S));
    assert_eq!(
        queue.offer_ahead(Timestamp(0), Timestamp(0), 2000, rate, 0),
        Timestamp(3 * S),
        "not behind the idle time"
    );
    assert_eq!(queue.waiting_bytes(Timestamp(0), rate), 3000);
    let mut now = LinkQueue::default();
    let mut ahead = LinkQueue::default();
    for bytes in [700, 1, 3000, 90] {
        let at = Timestamp(bytes * 100 * MS);
        assert_eq!(now.offer(at, bytes, rate, u64::MAX), Some(ahead.offer_ahead(at, at, bytes, rate, 0)));
    }
}

#[test]
fn after_a_rest_a_burst_goes_at_once() {
    let mut queue = LinkQueue::default();
    let mut left = |at: u64, bytes| queue.offer_ahead(Timestamp(at), Timestamp(at), bytes, 1000, 2 * S).0;
    assert_eq!(left(10 * S, 1500), 10 * S, "the bucket holds 2,000 bytes");
    assert_eq!(left(10 * S, 1500), 11 * S, "500 of them were left");
    assert_eq!(left(12 * S, 1500), 12 * S + S / 2, "1,000 came back");
    assert_eq!(left(60 * S, 2500), 60 * S + S / 2, "a longer rest is worth no more");
}

#[test]
fn what_waits_leaves_at_the_rate_there_is() {
    let mut queue = LinkQueue::default();
    assert_eq!(queue.offer_ahead(Timestamp(0), Timestamp(0), 5000, 1000, 0), Timestamp(5 * S));
    queue.set_rate(Timestamp(S), 1000, 100);
    assert_eq!(queue.waiting_bytes(Timestamp(S), 100), 4000);
    queue.set_rate(Timestamp(11 * S), 100, 3000);
    assert_eq!(queue.offer_ahead(Timestamp(11 * S), Timestamp(11 * S), 3000, 3000, 0), Timestamp(13 * S));
    queue.set_rate(Timestamp(20 * S), 3000, 1);
    assert_eq!(queue.waiting_bytes(Timestamp(20 * S), 1), 0);
}

#[test]
fn a_full_buffer_refuses_and_an_empty_queue_takes_any_frame() {
    let (rate, buffer) = (1000, 500);
    let mut queue = LinkQueue::default();
    assert_eq!(queue.offer(Timestamp(0), 5000, rate, buffer), Some(Timestamp(5 * S)));
    assert_eq!(queue.waiting_bytes(Timestamp(S), rate), 4000);
    assert_eq!(queue.offer(Timestamp(4 * S), 1, rate, buffer), None);
    assert_eq!(queue.offer(Timestamp(4 * S + S / 2), 1, rate, buffer), None);
    assert_eq!(queue.offer(Timestamp(5 * S - 400 * MS), 100, rate, buffer), Some(Timestamp(5 * S + S / 10)));
    queue.clear();
    assert_eq!(queue.waiting_bytes(Timestamp(S), rate), 0);
}

#[test]
fn a_higher_share_hits_the_same_frames_and_more() {
    let lost = |ppm: u32| {
        let mut state = state_of(Loss::Independent { ppm });
        let mut stream = Stream::new(3, "frames", 0);
        (0..10_000).filter(|frame| state.is_lost(Timestamp(*frame), &mut stream)).collect::<Vec<u64>>()
    };
    let (few, many) = (lost(10_000), lost(50_000));
    assert!(few.iter().all(|frame| many.contains(frame)));
    assert!((70..130).contains(&few.len()) && (430..570).contains(&many.len()), "{} {}", few.len(), many.len());
    assert_eq!((lost(0).len(), lost(1_000_000).len()), (0, 10_000));
}

#[test]
fn every_preset_holds_together_and_survives_a_file() {
    for preset in Preset::ALL {
        let choice = LinkChoice::preset(preset);
        choice.quality.check().unwrap();
        let text = toml::to_string(&choice).unwrap();
        assert_eq!(toml::from_str::<LinkChoice>(&text).unwrap(), choice, "{text}");
        let json = serde_json::to_string(&choice).unwrap();
        assert_eq!(serde_json::from_str::<LinkChoice>(&json).unwrap(), choice, "{json}");
        let name = serde_json::to_string(&preset).unwrap();
        assert_eq!(toml::from_str::<LinkChoice>(&format!("preset = {name}")).unwrap(), choice);
    }
}

#[test]
fn what_stands_beside_a_preset_changes_it() {
    let read = |text: &str| toml::from_str::<LinkChoice>(text).unwrap();
    let plain = read("latency_ms = 5\nrate = \"10 Mbit/s\"\nloss_ppm = 7\nweight = 3");
    let expected = LinkQuality {
        loss: Loss::Independent { ppm: 7 },
        ..LinkQuality::new(Latency::Constant { time_ns: 5 * MS }, 1_250_000)
    };
    assert_eq!(plain, LinkChoice { weight: 3, ..LinkChoice::symmetric(expected) });
    assert_eq!(plain.quality.buffer_bytes, 250_000);

    let dsl = read("preset = \"dsl\"\nrate = \"2 Mbit/s\"\nback = { rate = \"50 Mbit/s\" }");
    let back = dsl.back.unwrap();
    assert_eq!((dsl.quality.rate_bytes_per_s, back.rate_bytes_per_s), (250_000, 6_250_000));
    assert_eq!(back.latency, Preset::Dsl.quality().latency);

    let mixed = read("preset = \"lan\"\nback = { preset = \"lora_2kbit\" }\nchannel = 4");
    assert_eq!((mixed.back, mixed.channel), (Some(Preset::Lora2kbit.quality()), Some(4)));
}

#[test]
fn what_makes_no_sense_is_refused_with_a_reason() {
    let cases = [
        ("preset = \"lan\"\nspeed = 3", "unknown field `speed`"),
        ("preset = \"warp\"", "unknown variant `warp`"),
        ("latency = \"5 ms\"", "`rate` is missing"),
        ("latency = \"5 ms\"\nlatency_ms = 5\nrate = 10", "`latency` and `latency_ms` say the same thing"),
        ("latency = 5\nrate = 10", "invalid type: integer `5`, expected a time such as"),
        ("latency = \"5\"\nrate = 10", "\"5\" is not a time; write text with one of ns"),
        ("preset = \"lan\"\nrate = 0", "`rate` is 0 bytes per second; allowed is 1 byte per second"),
        ("preset = \"lan\"\nrate = -3", "-3 is not a rate"),
        ("preset = \"lan\"\nloss_ppm = 1000001", "`loss.ppm` is 1000001; allowed is 0 to 1000000"),
        ("preset = \"lan\"\nweight = 0", "`weight` is 0"),
        ("preset = \"lan\"\nback = { weight = 2 }", "`weight` does not belong here"),
        ("preset = \"lan\"\nclass = \"loopback\"", "`class` is loopback"),
        (
            "preset = \"lan\"\nlatency = { kind = \"normal\", mean = \"1 ms\", deviation = \"1 ms\", min = \"2 ms\" }",
            "min",
        ),
        ("preset = \"lan\"\nlatency = { kind = \"pareto\", min = \"1 ms\", shape = 1.0 }", "above 1, to 100"),
        ("preset = \"lan\"\nlatency = { kind = \"log_normal\", median = \"1 ms\", sigma = nan }", "0 to 3"),
        ("preset = \"lan\"\nlatency = { kind = \"constant\", time = \"1 ms\", jitter = 3 }", "unknown field `jitter`"),
        ("preset = \"lan\"\nlatency = { kind = \"constant\", time = \"11 min\" }", "at most 10 min"),
        (
            "preset = \"lan\"\nloss = { kind = \"gilbert_elliott\", good_mean = \"0 s\", bad_mean = \"1 s\" }",
            "1 ns to 30 d",
        ),
        ("preset = \"lan\"\nloss = { kind = \"trace\", period = \"1 s\", steps_us = [[5, 0], [5, 1]] }", "ascend"),
        ("preset = \"lan\"\nloss = { kind = \"trace\", period = \"1 s\", steps_us = [[0, 2]] }", "0 or 1"),
        (
            "preset = \"lan\"\nschedule = { period = \"1 h\", on = [{ from = \"1 h\", until = \"2 h\" }] }",
            "from < until",
        ),
        ("preset = \"lan\"\nschedule = { period = 5, on = [] }", "5 has no unit"),
    ];
    for (text, reason) in cases {
        let error = toml::from_str::<LinkChoice>(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}\ngave: {error}");
    }
    let misplaced = toml::from_str::<LinkQuality>("preset = \"lan\"\nchannel = 2").unwrap_err().to_string();
    assert!(misplaced.contains(&LinkError::Misplaced { key: "channel" }.to_string()), "{misplaced}");
}

#[test]
fn choices_occur_by_their_weights() {
    let choice = |weight| LinkChoice { weight, ..LinkChoice::preset(Preset::Lan) };
    let choices = [choice(1), choice(3), choice(6)];
    let mut stream = Stream::new(2, "choices", 0);
    let mut counts = [0u32; 3];
    for _ in 0..100_000 {
        let drawn = LinkChoice::draw(&choices, &mut stream).unwrap();
        counts[choices.iter().position(|choice| choice.weight == drawn.weight).unwrap()] += 1;
    }
    for (count, expected) in counts.iter().zip([10_000.0, 30_000.0, 60_000.0]) {
        assert!((f64::from(*count) - expected).abs() < 600.0, "{counts:?}");
    }
    assert_eq!(LinkChoice::draw(&[], &mut stream), None);
}

#[test]
fn a_satellite_pass_lasts_ten_minutes_of_every_ninety_five() {
    let mut state = LinkState::new(Preset::SatelliteLeoPass.quality(), Stream::new(1, "states", 0));
    let minute = |minutes: u64| Timestamp(minutes * 60 * S);
    let up: Vec<bool> = [0, 9, 10, 94, 95, 104, 105].iter().map(|minutes| state.up(minute(*minutes))).collect();
    assert_eq!(up, [true, true, false, false, true, true, false]);
    assert!(state.up(Timestamp(minute(10).0 - 1)) && !state.up(Timestamp(minute(95).0 - 1)));
    // Its fades last a second on average, and so are shown too.
    let mut now = minute(0);
    while state.up(now) {
        now = state.next_change(now).unwrap();
        assert!(now <= minute(10));
    }
    assert_eq!(now, minute(10));
}
