//! What may be said to be logged: a level, or a filter in the syntax of `tracing`.

use tracing_subscriber::EnvFilter;

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Whether a text is a level, or a filter that can log something.
///
/// # Errors
/// What is wrong, and what is possible.
pub fn check(filter: &str) -> Result<(), String> {
    let wrong = |why: String| format!("`{filter}` is neither a level nor a filter like info,mesh_net=debug: {why}");
    filter.parse::<EnvFilter>().map_err(|error| wrong(error.to_string()))?;
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
    use super::check;

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
