//! What a plan shows of objects that come to a server of another vendor or version.

use backstock_database::{Fidelity, Transfer};

/// What becomes of the objects on another server, each line with its name: how many are exact, and every one that is not.
pub fn transfer_rows(transfers: &[Transfer]) -> Vec<(String, String)> {
    if transfers.is_empty() {
        return Vec::new();
    }
    let is = |fidelity: Fidelity| transfers.iter().filter(move |transfer| transfer.fidelity == fidelity);
    let counts = [Fidelity::Exact, Fidelity::Changed, Fidelity::Dropped]
        .map(|fidelity| format!("{} {fidelity}", is(fidelity).count()));
    let mut rows = vec![("on this server".to_owned(), counts.join(", "))];
    let others = is(Fidelity::Changed).chain(is(Fidelity::Dropped));
    rows.extend(others.map(|transfer| {
        (transfer.fidelity.to_string(), format!("{}: {}", transfer.object, transfer.reasons.join("; ")))
    }));
    rows
}
