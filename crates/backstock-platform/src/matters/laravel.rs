//! Bagisto 1 and 2, and what every Laravel has: the rows that matter. Columns as in the migrations of bagisto/bagisto v1.2.0 and
//! v2.4.x (`packages/Webkul/*/src/Database/Migrations`).

use super::RowGroup::{
    Administrators, Carriers, Connections, Modules, Payments, Roles, ScheduledJobs, Settings,
};
use super::{MatteringTable, PlatformRows};

const TABLES: &[MatteringTable] = &[
    MatteringTable::new("admins", Administrators, "administrator")
        .key("id")
        .label("email name")
        .secret("password api_token remember_token")
        .noise("updated_at last_login_at"),
    MatteringTable::new("roles", Roles, "role").label("name").noise("updated_at"),
    MatteringTable::new("personal_access_tokens", Connections, "token of the interface")
        .key("id")
        .label("name")
        .secret("token")
        .noise("updated_at last_used_at"),
    MatteringTable::new("core_config", Settings, "setting")
        .key("code channel_code locale_code")
        .label("code")
        .noise("id created_at updated_at")
        .settings("code", "value", "*.last_run *.last_updated*")
        .groups(&[
            ("sales.payment_methods.* sales.paymentmethods.*", Payments),
            ("sales.carriers.* sales.shipping.*", Carriers),
            ("*cron* *schedule*", ScheduledJobs),
        ]),
    MatteringTable::new("channels", Settings, "channel").label("code hostname").noise("updated_at"),
    MatteringTable::new("inventory_sources", Settings, "source of stock")
        .label("name code")
        .noise("updated_at"),
    MatteringTable::new("migrations", Modules, "step of a module's installation")
        .key("migration")
        .label("migration")
        .noise("id"),
];

/// What is shown of Bagisto.
pub(crate) const ROWS: PlatformRows =
    PlatformRows { tables: TABLES, noise_tables: "product_*_indices datagrid_saved_filters" };
