//! The tables that grow: their share of the bytes and what one row looks like.

use std::fmt::Write;

use super::Choices;
use super::text::Language;
use crate::demo_shop::rows::{day, price};
use crate::demo_shop::words::{CITIES, FIRST_NAMES};

/// A table that grows.
pub(super) struct GrowingTable {
    /// Its name without the prefix.
    pub(super) name: &'static str,
    /// Columns and primary key where it is a table of its own; the others belong to every demo shop.
    pub(super) definition: &'static str,
    /// Secondary keys, added when the rows are in.
    pub(super) keys: &'static str,
    /// The columns that rows give.
    pub(super) columns: &'static str,
    /// Its part of the wanted bytes, in hundredths.
    pub(super) percent: u64,
    /// Writes the row with this number, brackets included.
    pub(super) row: fn(u64, &[Language], &mut Choices, &mut String),
}

/// One attribute of a product to a row, as shops with free attributes keep them.
macro_rules! attribute_table {
    ($name:literal, $type:literal, $percent:literal, $row:expr) => {
        GrowingTable {
            name: concat!("product_value_", $name),
            definition: concat!(
                "value_id int unsigned NOT NULL AUTO_INCREMENT, attribute_id smallint unsigned NOT NULL, store_id smallint unsigned NOT NULL, product_id int unsigned NOT NULL, value ",
                $type,
                ", PRIMARY KEY (value_id)"
            ),
            keys: "ADD UNIQUE KEY place (product_id, attribute_id, store_id), ADD KEY attribute_id (attribute_id)",
            columns: "attribute_id, store_id, product_id, value",
            percent: $percent,
            row: $row,
        }
    };
}

/// The largest first, so that two connections end at about the same time.
pub(super) const TABLES: &[GrowingTable] = &[
    attribute_table!("text", "mediumtext", 38, |number, languages, choices, sql| {
        place(number, 12, sql);
        sql.push('\'');
        languages[(number % 3) as usize].description(choices, sql);
        sql.push_str("')");
    }),
    GrowingTable {
        name: "order_product",
        definition: "",
        keys: "",
        columns: "order_id, product_id, name, model, quantity, price, total, tax, reward",
        percent: 12,
        row: |number, languages, choices, sql| {
            let product = choices.below(40_000);
            let _ = write!(sql, "({}, {product}, '", number / 3);
            languages[1].name(&mut Choices(u64::from(product)), 3, sql);
            let (unit, total) = (price(choices), price(choices));
            let _ = write!(sql, "', 'M-{product:05}', {}, {unit}, {total}, 0.2000, 0)", 1 + number % 5);
        },
    },
    attribute_table!("varchar", "varchar(255)", 8, |number, languages, choices, sql| {
        place(number, 40, sql);
        sql.push('\'');
        languages[(number % 3) as usize].name(choices, 1 + (number % 7) as u32, sql);
        sql.push_str("')");
    }),
    attribute_table!("int", "int", 7, |number, _, choices, sql| {
        place(number, 60, sql);
        let _ = write!(sql, "{})", choices.below(if number.is_multiple_of(3) { 2 } else { 5_000_000 }));
    }),
    attribute_table!("decimal", "decimal(20,6)", 6, |number, _, choices, sql| {
        place(number, 24, sql);
        let _ = write!(sql, "{}00)", price(choices));
    }),
    GrowingTable {
        name: "session",
        definition: "",
        keys: "",
        columns: "session_id, data, expire",
        percent: 7,
        row: |number, languages, choices, sql| {
            let (left, right) = (choices.next(), choices.next());
            let _ = write!(
                sql,
                r#"('{left:016x}{right:016x}', '{{"language":"de-de","currency":"EUR","token":"{:016x}","viewed":["#,
                choices.next()
            );
            for _ in 0..1 + number % 30 {
                let _ = write!(sql, "\"{}\",", choices.below(40_000));
            }
            sql.push_str(r#""0"],"search":""#);
            languages[0].name(choices, 3, sql);
            let _ = write!(sql, "\"}}', {})", day(choices));
        },
    },
    GrowingTable {
        name: "order",
        definition: "",
        keys: "",
        columns: "store_name, store_url, customer_id, firstname, lastname, email, telephone, payment_city, shipping_city, comment, total, order_status_id, language_id, currency_code, ip, user_agent, date_added, date_modified",
        percent: 8,
        row: |number, languages, choices, sql| {
            let city = choices.pick(&CITIES);
            let _ = write!(
                sql,
                "('The Demo Shop', 'https://shop.example/', {}, '{}', '",
                number / 2,
                choices.pick(&FIRST_NAMES)
            );
            languages[1].name(choices, 1, sql);
            let _ = write!(
                sql,
                "', 'customer{}@mail.example', '+43 660 {:07}', '{city}', '{city}', '",
                number / 2,
                choices.below(9_999_999)
            );
            if number.is_multiple_of(4) {
                languages[1].sentence(choices, sql);
            }
            let _ = write!(
                sql,
                "', {}, {}, {}, 'EUR', '203.0.{}.{}', 'Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101', {}, {})",
                price(choices),
                1 + choices.below(5),
                1 + choices.below(3),
                choices.below(256),
                choices.below(256),
                90 + choices.below(50),
                day(choices),
                day(choices)
            );
        },
    },
    GrowingTable {
        name: "stock_move",
        definition: "",
        keys: "",
        columns: "place_id, product_id, moved, weight_kg, label, flags, code, raw, moved_at",
        percent: 8,
        row: |number, _, choices, sql| {
            let _ = write!(
                sql,
                "({}, {}, {}e0/7, {}.25, {}, {}, x'{:016X}', x'{:016X}', '20{:02}-{:02}-{:02} 02:30:00.{:03}')",
                1 + number % 3,
                choices.below(40_000),
                choices.below(100_000),
                choices.below(100),
                1 + choices.below(3),
                choices.below(8),
                choices.next(),
                choices.next(),
                20 + choices.below(6),
                1 + choices.below(12),
                1 + choices.below(28),
                choices.below(1000)
            );
        },
    },
    GrowingTable {
        name: "order_total",
        definition: "",
        keys: "",
        columns: "order_id, extension, code, title, value, sort_order",
        percent: 6,
        row: |number, _, choices, sql| {
            let code = ["sub_total", "tax", "shipping", "total"][(number % 4) as usize];
            let _ = write!(
                sql,
                "({}, 'opencart', '{code}', 'Summe', {}, {})",
                number / 4,
                price(choices),
                number % 4
            );
        },
    },
];

/// Attribute, store and product of a row: products have so many attributes, in order.
fn place(number: u64, attributes: u64, sql: &mut String) {
    let _ = write!(sql, "({}, {}, {}, ", 70 + number / 3 % attributes, number % 3, number / 3 / attributes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_make_a_whole() {
        assert_eq!(TABLES.iter().map(|table| table.percent).sum::<u64>(), 100);
    }
}
