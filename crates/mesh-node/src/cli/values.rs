//! Values as people write them: sizes, rates, who may fetch.

use bytesize::ByteSize;
use mesh_proto::record::Access;

/// Bytes, like `20GiB` or `1500`.
///
/// # Errors
/// What a size looks like.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let size = text.trim().parse::<ByteSize>();
    size.map(|size| size.as_u64()).map_err(|_| "a size looks like 500MB, 20GiB or 1500 (bytes)".to_owned())
}

/// Bytes per second, like `2MB` or `500KiB/s`.
///
/// # Errors
/// What a rate looks like.
pub fn parse_rate(text: &str) -> Result<u64, String> {
    let text = text.trim();
    parse_size(text.strip_suffix("/s").unwrap_or(text))
        .map_err(|_| "a rate looks like 2MB, 500KiB/s or 0 (bytes per second)".to_owned())
}

/// Who may fetch, like `public` or `members:ID,ID`.
///
/// # Errors
/// What is possible.
pub fn parse_access(text: &str) -> Result<Access, String> {
    let access = match text.split_once(':') {
        None if text == "ticket" => Access::Ticket,
        None if text == "public" => Access::Public,
        Some(("community", id)) => Access::Community(id.parse().map_err(|error| format!("{error}"))?),
        Some(("members", ids)) => {
            let members: Result<Vec<_>, _> = ids.split(',').map(|id| id.trim().parse()).collect();
            Access::Members(members.map_err(|error| format!("{error}"))?)
        }
        _ => return Err("possible are ticket, public, community:ID and members:ID,ID".to_owned()),
    };
    access.check().map_err(|error| error.to_string())?;
    Ok(access)
}

#[cfg(test)]
mod tests {
    use mesh_proto::{CommunityId, MemberId};

    use super::*;

    #[test]
    fn sizes_and_rates_are_read() {
        assert_eq!(parse_size("1500"), Ok(1500));
        assert_eq!(parse_size("2 GiB"), Ok(2 << 30));
        assert_eq!(parse_rate("2MB/s"), Ok(2_000_000));
        assert!(parse_rate("fast").is_err());
    }

    #[test]
    fn access_is_read() {
        let id = "ab".repeat(32);
        assert_eq!(parse_access("public"), Ok(Access::Public));
        assert_eq!(parse_access(&format!("community:{id}")), Ok(Access::Community(CommunityId([0xab; 32]))));
        assert_eq!(parse_access(&format!("members:{id},{id}")), Ok(Access::Members(vec![MemberId([0xab; 32]); 2])));
        assert!(parse_access("members:").is_err());
        assert!(parse_access("ticket:x").is_err());
    }
}
