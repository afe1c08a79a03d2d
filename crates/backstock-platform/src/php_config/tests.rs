//! Tests of the evaluator: every form of configuration that real shops use, and hostile ones.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::environment::{KnownEnvironment, NoEnvironment};
use crate::shops::{Shop, fixtures};

mod forms;
mod hostile;

fn form(name: &str, environment: &dyn Environment) -> Evaluated {
    let folder = Folder::open(&fixtures().join("php-forms")).unwrap();
    read(&Reading::new(&folder, environment), &folder.at(name))
        .unwrap_or_else(|unread| panic!("{name}: {}", unread.why))
}

/// The text of a constant, `None` when it is not known.
fn text(config: &Evaluated, name: &str) -> Option<String> {
    let value = config.constant(name);
    value.is_known().then(|| String::from_utf8(value.to_text().unwrap().to_vec()).unwrap())
}

fn inline(source: &[u8]) -> Result<Evaluated, Unread> {
    let shop = Shop::empty();
    shop.write("config.php", source);
    let folder = Folder::open(&shop.root).unwrap();
    read(&Reading::new(&folder, &NoEnvironment), &folder.at("config.php"))
}
