//! Magento 2.4: the rows that matter. Columns as in the `db_schema.xml` files of magento/magento2 2.4.6-p4. Which modules are on
//! stands in a file, `app/etc/config.php`, and scheduled jobs in files of modules and in settings below `crontab/`.

use super::RowGroup::{
    Administrators, Carriers, Connections, Modules, Payments, Roles, ScheduledJobs, Settings,
};
use super::{MatteringTable, PlatformRows};

const TABLES: &[MatteringTable] = &[
    MatteringTable::new("admin_user", Administrators, "administrator")
        .key("user_id")
        .label("username email")
        .secret("password rp_token refresh_token")
        .noise(
            "modified logdate lognum reload_acl_flag extra rp_token_created_at failures_num first_failure lock_expires",
        ),
    MatteringTable::new("tfa_user_config", Administrators, "second factor of an administrator")
        .secret("encoded_config encoded_providers"),
    MatteringTable::new("authorization_role", Roles, "role").label("role_name"),
    MatteringTable::new("authorization_rule", Roles, "right of a role")
        .key("role_id resource_id")
        .label("resource_id")
        .noise("rule_id"),
    MatteringTable::new("integration", Connections, "integration").key("integration_id").label("name").noise("updated_at"),
    MatteringTable::new("oauth_consumer", Connections, "program that signs in")
        .key("entity_id")
        .label("name")
        .secret("key secret")
        .noise("updated_at"),
    MatteringTable::new("oauth_token", Connections, "token of a program")
        .key("entity_id")
        .label("type")
        .secret("token secret verifier"),
    // Saving a setting that was deleted gives it another number.
    MatteringTable::new("core_config_data", Settings, "setting")
        .key("scope scope_id path")
        .label("path")
        .noise("config_id updated_at")
        .settings(
            "path",
            "value",
            "*/last_update* *_last_update* */last_run* analytics/url* system/release_notification/* \
             admin/usage/* *_timestamp catalog/*/last_*",
        )
        .groups(&[
            ("payment/* payment_* paypal/*", Payments),
            ("carriers/* shipping/* tax/calculation/*shipping*", Carriers),
            ("crontab/* system/cron/*", ScheduledJobs),
        ]),
    MatteringTable::new("shipping_tablerate", Carriers, "price of a carrier")
        .key("website_id dest_country_id dest_region_id dest_zip condition_name condition_value")
        .noise("pk"),
    MatteringTable::new("setup_module", Modules, "module").label("module"),
    MatteringTable::new("patch_list", Modules, "step of a module's installation")
        .key("patch_name")
        .label("patch_name")
        .noise("patch_id"),
    MatteringTable::new("store", Settings, "view of a store").label("name code"),
    MatteringTable::new("store_group", Settings, "store").label("name code"),
    MatteringTable::new("store_website", Settings, "website").label("name code"),
    MatteringTable::new("layout_update", Settings, "changed layout").label("handle").noise("updated_at"),
    MatteringTable::new("email_template", Settings, "changed text of an e-mail").label("template_code").noise("modified_at"),
    MatteringTable::new("variable_value", Settings, "value of a variable"),
];

/// What is shown of Magento.
pub(crate) const ROWS: PlatformRows = PlatformRows {
    tables: TABLES,
    noise_tables: "*_cl mview_state indexer_state flag ui_bookmark cron_schedule *_idx *_tmp *_replica sequence_*",
};
