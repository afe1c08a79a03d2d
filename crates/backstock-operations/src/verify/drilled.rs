//! The deepest level: everything is decoded, and then restored into a scratch place, as `drill` does it.

use backstock_catalog::Backup;
use backstock_vocabulary::VerifyLevel;

use super::record::record_levels;
use super::{Damage, VerifyReport, verify};
use crate::drill::{DrillRequest, DrillVerdict, drill};
use crate::environment::Environment;
use crate::error::Result;
use crate::monitor::Monitor;

/// Checks a backup down to every row and file and then drills it. The drill is recorded as any other.
///
/// # Errors
/// As [`verify`], and as [`drill`]: what kept it from coming to a result.
pub fn verify_drilled(
    environment: &Environment,
    backup: &Backup,
    request: &DrillRequest,
    monitor: &dyn Monitor,
) -> Result<VerifyReport> {
    let mut report = verify(environment, backup.clone(), VerifyLevel::Decoded, monitor)?;
    let is_right = report.is_good();
    report.wanted = VerifyLevel::Drilled;
    if !is_right {
        return Ok(report);
    }
    let drilled = drill(environment, backup.clone(), request, monitor)?;
    match drilled.verdict {
        DrillVerdict::Proven | DrillVerdict::ProvenExcept => {
            report.reached = Some(VerifyLevel::Drilled);
            record_levels(environment, backup, None, VerifyLevel::Drilled)?;
        }
        // Only of a backup that was made just now.
        DrillVerdict::ProvenInPart => {}
        DrillVerdict::NotRestorable if drilled.is_damaged => {
            let told =
                drilled.faults.iter().map(|what| Damage { part: drilled.folder.clone(), what: what.clone() });
            report.damage.extend(told);
        }
        DrillVerdict::NotRestorable => {
            report.stopped = Some(format!("it is not restorable as it is: {}", drilled.faults.join("; ")));
        }
    }
    report.drill = Some(Box::new(drilled));
    Ok(report)
}
