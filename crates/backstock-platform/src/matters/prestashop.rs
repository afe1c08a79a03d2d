//! PrestaShop 1.7, 8 and 9: the rows that matter. Columns as in `install-dev/data/db_structure.sql` of PrestaShop/PrestaShop 1.7.6.2,
//! 8.2.0 and 9.0.0.

use super::RowGroup::{
    Administrators, Carriers, Connections, Hooks, Modules, Payments, Roles, ScheduledJobs, Settings,
};
use super::{MatteringTable, PlatformRows};

/// Settings that the shop writes by itself.
const NOISE_NAMES: &str = "PS_CCCJS_VERSION PS_CCCCSS_VERSION PS_NEED_REBUILD_INDEX *_LAST_* *_LASTRUN* *_EXPIRE LAST_* \
     *_LAST_UPDATE *_CACHE_* *_CACHED* PS_SEARCH_INDEXATION_DATE PS_DASHBOARD_* DASHACTIVITY_* *_TIMESTAMP *_COUNTER";

/// Settings that are about something narrower.
const GROUPS: &[(&str, super::RowGroup)] = &[
    (
        "*PAYPAL* *STRIPE* *CHECKOUT* *PAYMENT* *BANK_WIRE* *BANKWIRE* *CHEQUE* *MOLLIE* *KLARNA* *ADYEN* *PAYPLUG* *COD_*",
        Payments,
    ),
    ("*CARRIER* *SHIPPING* *HANDLING*", Carriers),
    ("*CRON*", ScheduledJobs),
];

const TABLES: &[MatteringTable] = &[
    MatteringTable::new("employee", Administrators, "administrator")
        .key("id_employee")
        .label("email lastname")
        .secret("passwd reset_password_token")
        .noise(
            "last_connection_date last_passwd_gen reset_password_validity id_last_order id_last_customer_message \
             id_last_customer stats_date_from stats_date_to stats_compare_from stats_compare_to stats_compare_option \
             preselect_date_range",
        ),
    MatteringTable::new("employee_shop", Administrators, "shop of an administrator"),
    MatteringTable::new("profile", Roles, "role"),
    MatteringTable::new("profile_lang", Roles, "name of a role").label("name"),
    MatteringTable::new("access", Roles, "right of a role"),
    MatteringTable::new("module_access", Roles, "right of a role on a module"),
    MatteringTable::new("authorization_role", Roles, "right").key("slug").label("slug").noise("id_authorization_role"),
    MatteringTable::new("webservice_account", Connections, "account of the web service")
        .key("id_webservice_account")
        .label("description class_name")
        .secret("key"),
    MatteringTable::new("webservice_permission", Connections, "right of an account of the web service"),
    MatteringTable::new("api_client", Connections, "client of the interface")
        .key("id_api_client")
        .label("client_name client_id")
        .secret("client_secret"),
    MatteringTable::new("configuration", Settings, "setting")
        .key("id_shop_group id_shop name")
        .label("name")
        .noise("id_configuration date_add date_upd")
        .settings("name", "value", NOISE_NAMES)
        .groups(GROUPS),
    MatteringTable::new("configuration_lang", Settings, "text of a setting")
        .key("id_configuration id_lang")
        .noise("date_upd"),
    MatteringTable::new("shop", Settings, "shop").label("name"),
    MatteringTable::new("shop_group", Settings, "group of shops").label("name"),
    MatteringTable::new("shop_url", Settings, "address of a shop").label("domain"),
    MatteringTable::new("request_sql", Settings, "stored query").label("name"),
    MatteringTable::new("tab", Settings, "page of the back office").key("class_name").label("class_name").noise("id_tab"),
    MatteringTable::new("module", Modules, "module").key("name").label("name"),
    MatteringTable::new("module_shop", Modules, "module in a shop"),
    MatteringTable::new("module_country", Payments, "country of a payment module"),
    MatteringTable::new("module_currency", Payments, "currency of a payment module"),
    MatteringTable::new("module_group", Modules, "module for a group of customers"),
    MatteringTable::new("module_carrier", Payments, "carrier of a payment module"),
    MatteringTable::new("hook", Hooks, "hook").key("name").label("name").noise("id_hook"),
    MatteringTable::new("hook_alias", Hooks, "other name of a hook").label("alias"),
    MatteringTable::new("hook_module", Hooks, "module at a hook"),
    MatteringTable::new("hook_module_exceptions", Hooks, "page on which a module is not called").label("file_name"),
    MatteringTable::new("cronjobs", ScheduledJobs, "scheduled job").label("description task").noise("updated_at"),
    MatteringTable::new("carrier", Carriers, "carrier").key("id_carrier").label("name"),
    MatteringTable::new("carrier_group", Carriers, "carrier for a group of customers"),
    MatteringTable::new("carrier_lang", Carriers, "text of a carrier").label("delay"),
    MatteringTable::new("carrier_shop", Carriers, "carrier in a shop"),
    MatteringTable::new("carrier_tax_rules_group_shop", Carriers, "tax of a carrier"),
    MatteringTable::new("carrier_zone", Carriers, "zone of a carrier"),
    // Saving a carrier deletes its prices and makes them anew.
    MatteringTable::new("delivery", Carriers, "price of a carrier")
        .key("id_carrier id_range_price id_range_weight id_zone id_shop id_shop_group")
        .noise("id_delivery"),
    MatteringTable::new("range_price", Carriers, "range of prices"),
    MatteringTable::new("range_weight", Carriers, "range of weights"),
];

/// What is shown of PrestaShop.
pub(crate) const ROWS: PlatformRows = PlatformRows {
    tables: TABLES,
    noise_tables: "configuration_kpi configuration_kpi_lang module_history advice* badge* condition_advice \
                   condition_badge condition tab_advice mutation",
};
