//! What sealing costs: the same backup sealed and not sealed, and the same check of both.

use super::{Bytes, Pair, Peer, Preparation, Side};
use crate::row::Goal;

/// A state folder of its own: once there is an identity, every backup is sealed.
const STATE: &str = "BACKSTOCK_STATE=\"$WORK/sealing\" BACKSTOCK_CONFIG=\"$WORK/sealing.toml\"";
/// The private half of the identity.
const KEY: &str = "\"$WORK/sealing.key\"";

fn backup(flags: &str) -> String {
    format!(
        "{STATE} \"$BACKSTOCK\" --quiet backup --no-default-exclusions --no-prune --database-socket \"$SOCKET\" {flags} \"$SHOP\""
    )
}

fn verify(which: &str) -> Side {
    let script = format!(
        "{STATE} \"$BACKSTOCK\" --quiet verify \"$(cat \"$WORK/sealing.{which}\")\" --identity-file {KEY} >/dev/null"
    );
    Side::new(script).comparing(Bytes::NotCompared)
}

/// Sealed against not sealed: at most 15 % more time for the backup, at least 70 % of the speed for reading it back.
pub(super) fn pairs() -> [Pair; 3] {
    let create =
        format!("[ -e {KEY} ] || {STATE} \"$BACKSTOCK\" --quiet key create --to-file {KEY} 2>/dev/null");
    // A state folder of this round alone: what lies in the output folder is one backup.
    let side = |flags: &str, read_back: bool| {
        let anew = format!(
            "rm -rf \"$WORK/sealing\" {KEY}; echo \"read_back = {read_back}\" >\"$WORK/sealing.toml\"; {create}"
        );
        let side = Side::new(backup(&format!("--to \"$OUT/backups\" {flags}")));
        side.after(Preparation::Shell(anew)).after(Preparation::FillCache)
    };
    let plain = |read_back| Peer::Side(side("--unsealed", read_back));
    let made = Pair::new("whole shop, sealed", "not sealed", side("", false), plain(false))
        .goals(&[Goal::Wall(1.15), Goal::Size(1.01)]);
    // As it is unless a configuration says otherwise: only who has the key can decode it later.
    let proven = Pair::new("the same, decoded after it", "not sealed, decoded", side("", true), plain(true))
        .goals(&[Goal::Wall(1.15)]);
    let id = |which: &str| {
        format!(
            "{STATE} \"$BACKSTOCK\" --quiet --json list | grep -m 1 -o '\"short\": \"[0-9a-f]*\"' | cut -d'\"' -f4 >\"$WORK/sealing.{which}\""
        )
    };
    let mut read =
        Pair::new("sealed backup read back", "one not sealed", verify("sealed"), Peer::Side(verify("plain")))
            .goals(&[Goal::Wall(1.43)]);
    let (sealed, plain) = (backup("--to \"$WORK/sealed\""), backup("--to \"$WORK/sealed\" --unsealed"));
    read.setup = Some(format!("{create}; {sealed} && {}; {plain} && {}", id("sealed"), id("plain")));
    [made, proven, read]
}
