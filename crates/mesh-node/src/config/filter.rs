//! What may be said to be logged: a level, or a filter in the syntax of `tracing`.

use tracing_subscriber::EnvFilter;

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Whether a text is a level, or a filter that can log something.
///
/// # Errors
/// What is wrong, and what is possible.
pub fn check(filter: &str) -> Result<(), String> {
    read(filter).map(drop)
}

/// The filter that a text says.
///
/// # Errors
/// As [`check`].
pub fn read(filter: &str) -> Result<EnvFilter, String> {
    let wrong = |why: String| format!("`{filter}` is neither a level nor a filter like info,mesh_net=debug: {why}");
    // The parser counts places in a directive without the blanks around it, and takes them from the one with them: it would
    // cut a name short, or panic within a letter.
    if !filter.is_ascii() {
        return Err(wrong("the names of parts are written in ASCII".to_owned()));
    }
    let directives: Vec<&str> = filter.split(',').map(str::trim).collect();
    let read = directives.join(",").parse::<EnvFilter>().map_err(|error| wrong(error.to_string()))?;
    check_names(filter, &wrong).map(|()| read)
}

fn check_names(filter: &str, wrong: &dyn Fn(String) -> String) -> Result<(), String> {
    // A filter by spans and fields has rules of its own, and commas within.
    if filter.contains(['[', '{']) {
        return Ok(());
    }
    // The parser takes any words as the name of a target; of one that nobody has nothing is ever logged.
    for directive in filter.split(',').map(str::trim) {
        let (target, level) = directive.split_once('=').unwrap_or(("mesh", directive));
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':' | '-');
        if target.is_empty() || !target.chars().all(is_name) {
            return Err(wrong(format!("`{target}` is not the name of a part")));
        }
        if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
            return Err(wrong(format!("`{level}` is not a level; there are {}", LEVELS.join(", "))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check, read};

    #[test]
    fn blanks_around_a_directive_change_nothing() {
        let shown = |filter: &str| read(filter).map(|filter| filter.to_string());
        assert_eq!(shown(" info , mesh_net=debug "), shown("info,mesh_net=debug"));
        assert!(shown("info, mesh_net=debug").is_ok_and(|shown| shown.contains("mesh_net=debug")));
    }

    #[test]
    fn letters_beyond_ascii_are_refused_and_not_cut() {
        for filter in [" \u{1fa}\u{fffd}=", " é=debug", "[é]=info", "é"] {
            assert!(check(filter).is_err(), "{filter}");
        }
    }

    #[test]
    fn what_would_log_nothing_is_refused() {
        for filter in ["info", "OFF", "info,mesh_net=debug", "mesh_node::api=trace, warn", "info,[node{id=1}]=debug"] {
            assert_eq!(check(filter), Ok(()), "{filter}");
        }
        for filter in ["blah blah", "inof", "", "info,", "mesh_net=loud", "mesh net=info", "=info", "a=b=c"] {
            assert!(check(filter).unwrap_err().contains("filter"), "{filter}");
        }
    }
}
