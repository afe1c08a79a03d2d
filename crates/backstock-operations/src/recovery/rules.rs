//! The rules that stand with a set since its settings were brought back: they hold where the configuration says nothing.

use backstock_catalog::Shop;
use serde::de::DeserializeOwned;

use crate::environment::Environment;
use crate::error::{Doing, Result};
use crate::retention::RetentionPolicy;
use crate::sets::default_set_of;
use crate::subject::Subject;
use crate::verify::VerifySchedule;

/// The name of the policy in the definition of a set.
pub(super) const RETENTION: &str = "retention";
/// The name of the schedule in it.
pub(super) const VERIFY: &str = "verify";

/// What stands with a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecoveredRules {
    /// Which backups are kept.
    pub policy: Option<RetentionPolicy>,
    /// How often they are checked.
    pub schedule: Option<VerifySchedule>,
}

/// The rules that stand with the set of a shop.
pub fn recovered_rules(environment: &Environment, shop: &Shop) -> Result<RecoveredRules> {
    let act = || format!("reading the rules of {}", shop.title);
    let Some(set) = default_set_of(environment, shop)? else { return Ok(RecoveredRules::default()) };
    Ok(RecoveredRules {
        policy: rule(&set.definition, RETENTION).doing(act())?,
        schedule: rule(&set.definition, VERIFY).doing(act())?,
    })
}

/// The same for what is about to be backed up: nothing, where it is not known yet.
pub fn recovered_rules_of(environment: &Environment, subject: &Subject) -> Result<RecoveredRules> {
    let shop = environment.wait(environment.catalog.find_shop_by_root(&subject.key()));
    match shop.doing("looking for the shop")? {
        Some(shop) => recovered_rules(environment, &shop),
        None => Ok(RecoveredRules::default()),
    }
}

fn rule<R: DeserializeOwned>(
    definition: &serde_json::Value,
    name: &str,
) -> std::result::Result<Option<R>, serde_json::Error> {
    definition.get(name).map(|rule| R::deserialize(rule)).transpose()
}
