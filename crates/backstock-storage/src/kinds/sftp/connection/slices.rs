//! How long one request may be: 32 KiB with every server, more where it tells so. Each request costs both sides the same.
//!
//! Protocol: draft-ietf-secsh-filexfer-02, 3 (every server takes packets of 34,000 bytes); `limits@openssh.com`, OpenSSH
//! `PROTOCOL`, 4.8.

use russh_sftp::extensions::LimitsExtension;

/// What every server takes and gives, in bytes.
const EVERYWHERE_BYTES: u64 = 32 << 10;
/// The longest request, in bytes: OpenSSH takes 255 KiB, and files lie in blocks of some KiB. On a slow line a longer one would
/// be silent for too long.
const LONGEST_BYTES: u64 = 240 << 10;
/// What is around the bytes of a request: its head, and the name of the file (at most 256 bytes, 3 of the draft).
const AROUND_BYTES: u64 = 1 << 10;

/// The lengths of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Slices {
    pub(in super::super) read_bytes: usize,
    pub(in super::super) write_bytes: usize,
}

impl Slices {
    pub(super) fn of_every_server() -> Self {
        let length = usize::try_from(EVERYWHERE_BYTES).unwrap_or(usize::MAX);
        Self { read_bytes: length, write_bytes: length }
    }

    /// What a server tells; a limit of 0 is none that it tells.
    pub(super) fn within(limits: &LimitsExtension) -> Self {
        let packet = match limits.max_packet_len {
            0 => LONGEST_BYTES,
            told => told.saturating_sub(AROUND_BYTES),
        };
        let length = |told: u64| {
            let told = if told == 0 { EVERYWHERE_BYTES } else { told };
            let length = told.min(packet).clamp(EVERYWHERE_BYTES, LONGEST_BYTES);
            usize::try_from(length).unwrap_or(usize::MAX)
        };
        Self { read_bytes: length(limits.max_read_len), write_bytes: length(limits.max_write_len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_as_long_as_the_server_tells_within_bounds() {
        let told = |packet, read, write| {
            let limits = LimitsExtension {
                max_packet_len: packet,
                max_read_len: read,
                max_write_len: write,
                max_open_handles: 0,
            };
            let slices = Slices::within(&limits);
            (slices.read_bytes, slices.write_bytes)
        };
        let (least, most) = (32 << 10, 240 << 10);
        for (limits, wanted) in [
            // OpenSSH.
            (told(262_144, 261_120, 261_120), (most, most)),
            (told(262_144, 0, 65_536), (least, 65_536)),
            (told(0, u64::MAX, 100_000), (most, 100_000)),
            (told(66_560, 261_120, 261_120), (65_536, 65_536)),
            // Less than every server must take is not believed.
            (told(1, 1, 1), (least, least)),
            (told(0, 0, 0), (least, least)),
        ] {
            assert_eq!(limits, wanted);
        }
        let everywhere = Slices::of_every_server();
        assert_eq!((everywhere.read_bytes, everywhere.write_bytes), (least, least));
    }
}
