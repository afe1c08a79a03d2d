//! OpenCart 3 and 4: the rows that matter. Columns as in opencart/opencart 3.0.4.1 (`install/opencart.sql`) and 4.1.0.3 (`system/helper/db_schema.php`).

use super::RowGroup::{
    Administrators, Carriers, Connections, Hooks, Modules, Payments, Roles, ScheduledJobs, Settings,
};
use super::{MatteringTable, PlatformRows};

const TABLES: &[MatteringTable] = &[
    MatteringTable::new("user", Administrators, "administrator")
        .key("user_id")
        .label("username email")
        .secret("password salt code")
        .noise("ip"),
    MatteringTable::new("user_group", Roles, "role").label("name"),
    MatteringTable::new("api", Connections, "account of the interface")
        .key("api_id")
        .label("username name")
        .secret("key")
        .noise("date_modified"),
    MatteringTable::new("api_ip", Connections, "address that may use the interface")
        .key("api_id ip")
        .label("ip")
        .noise("api_ip_id"),
    // Saving a page of settings deletes its rows and makes them anew, with other numbers.
    MatteringTable::new("setting", Settings, "setting")
        .key("store_id code key")
        .label("key")
        .noise("setting_id")
        .settings("key", "value", "*_last_run *_last_update *_last_sync")
        .groups(&[
            ("payment_*", Payments),
            ("shipping_*", Carriers),
            ("module_* *_status", Modules),
            ("*cron*", ScheduledJobs),
        ]),
    MatteringTable::new("store", Settings, "further store").label("name"),
    MatteringTable::new("theme", Settings, "changed template").label("route"),
    MatteringTable::new("modification", Modules, "modification of the program")
        .key("code")
        .label("name code")
        .noise("modification_id"),
    MatteringTable::new("layout_module", Settings, "module on a page").label("code"),
    MatteringTable::new("module", Modules, "module").key("module_id").label("name code"),
    MatteringTable::new("extension", Modules, "extension")
        .key("type code")
        .label("code")
        .noise("extension_id"),
    MatteringTable::new("extension_install", Modules, "installed package").label("name filename code"),
    MatteringTable::new("event", Hooks, "hook").key("event_id").label("code"),
    MatteringTable::new("startup", Hooks, "program at the start")
        .key("code action")
        .label("code")
        .noise("startup_id"),
    MatteringTable::new("cron", ScheduledJobs, "scheduled job")
        .key("code action")
        .label("code")
        .noise("cron_id date_modified"),
    MatteringTable::new("geo_zone", Carriers, "zone").label("name").noise("date_modified"),
    MatteringTable::new("zone_to_geo_zone", Carriers, "region of a zone").noise("date_modified"),
];

/// What is shown of OpenCart.
pub(crate) const ROWS: PlatformRows = PlatformRows { tables: TABLES, noise_tables: "" };
