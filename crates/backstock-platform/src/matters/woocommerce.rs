//! WordPress and WooCommerce: the rows that matter. Columns as in `wp-admin/includes/schema.php` of WordPress 6.7 and
//! `includes/class-wc-install.php` of WooCommerce 9.5.

use super::RowGroup::{
    Administrators, Carriers, Connections, Modules, Payments, Roles, ScheduledJobs, Settings,
};
use super::{MatteringTable, NamedBy, PlatformRows};

/// Options that change by themselves.
const NOISE_OPTIONS: &str = "_transient_* _site_transient_* rewrite_rules doing_cron recently_edited recently_activated \
     auto_updater.lock *.lock *_last_run *_last_check* *_last_checked* *_last_update* action_scheduler_* \
     woocommerce_admin_remote_inbox_notifications_* wc_remote_inbox_* woocommerce_marketplace_* \
     woocommerce_queue_* wc_blocks_* woocommerce_admin_last_* *_cache_* *_cached_* *_counter \
     schema-* woocommerce_task_list_* wc_installer_*";

const TABLES: &[MatteringTable] = &[
    // Customers are users too: who may do more is told by the rows of `usermeta`.
    MatteringTable::new("usermeta", Administrators, "right of a user")
        .key("user_id meta_key")
        .label("meta_key")
        .noise("umeta_id")
        .only("meta_key", "*capabilities")
        .passes_over("meta_value", "a:1:{s:8:\"customer\";b:1;} a:1:{s:10:\"subscriber\";b:1;} a:0:{}"),
    MatteringTable::new("users", Administrators, "user")
        .key("ID")
        .label("user_login user_email")
        .secret("user_pass user_activation_key")
        .only_named_by(NamedBy { column: "ID", table: "usermeta", their_column: "user_id" }),
    MatteringTable::new("options", Settings, "option")
        .key("option_name")
        .label("option_name")
        .noise("option_id")
        .settings("option_name", "option_value", NOISE_OPTIONS)
        .groups(&[
            ("*user_roles", Roles),
            ("active_plugins template stylesheet *_db_version", Modules),
            ("cron", ScheduledJobs),
            (
                "woocommerce_*_settings *stripe* *paypal* *klarna* *mollie* woocommerce_gateway_order",
                Payments,
            ),
            ("woocommerce_*shipping* woocommerce_ship_*", Carriers),
        ]),
    MatteringTable::new("woocommerce_api_keys", Connections, "key of the interface")
        .key("key_id")
        .label("description truncated_key")
        .secret("consumer_key consumer_secret nonces")
        .noise("last_access"),
    MatteringTable::new("wc_webhooks", Connections, "webhook")
        .key("webhook_id")
        .label("name delivery_url")
        .secret("secret")
        .noise("date_modified date_modified_gmt failure_count pending_delivery"),
    MatteringTable::new("woocommerce_shipping_zones", Carriers, "zone").label("zone_name"),
    MatteringTable::new("woocommerce_shipping_zone_locations", Carriers, "place of a zone")
        .label("location_code"),
    MatteringTable::new("woocommerce_shipping_zone_methods", Carriers, "carrier of a zone")
        .label("method_id"),
    MatteringTable::new("wc_product_download_directories", Settings, "folder of downloads").label("url"),
];

/// What is shown of WordPress.
pub(crate) const ROWS: PlatformRows = PlatformRows {
    tables: TABLES,
    noise_tables: "actionscheduler_actions actionscheduler_groups wc_order_stats wc_customer_lookup",
};
