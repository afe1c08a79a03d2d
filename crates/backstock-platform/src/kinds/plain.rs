//! A plain folder: no platform is known, everything in it is backed up.

use crate::environment::Environment;
use crate::error::Result;
use crate::folder::Folder;
use crate::kinds::{Confidence, Match, Platform};
use crate::layout::{Obstacle, ShopLayout, Unclear};
use crate::step::Maintenance;

/// Any folder, with a database that is given by hand.
#[derive(Debug)]
pub(super) struct Plain;

impl Platform for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn title(&self) -> &'static str {
        "plain folder"
    }

    fn recognise(&self, _root: &Folder) -> Option<Match> {
        Some(Match { confidence: Confidence::Folder, why: "no platform's files were found".to_owned() })
    }

    fn layout(&self, root: &Folder, _environment: &dyn Environment) -> Result<ShopLayout> {
        let mut layout = ShopLayout::empty(self.name(), self.title(), root.root().to_owned());
        layout.maintenance = Maintenance::None {
            why: "a plain folder has no maintenance switch; stop its writers before a restore".to_owned(),
        };
        let (why, obstacle) = if root.has_file("app/etc/local.xml") {
            (
                "app/etc/local.xml is that of Magento 1 or OpenMage, which is not supported",
                Obstacle::Unsupported,
            )
        } else {
            (
                "no platform was recognised, so no file says which database belongs to this folder",
                Obstacle::Missing,
            )
        };
        layout.unclear.push(Unclear {
            what: "the database".to_owned(),
            why: why.to_owned(),
            obstacle,
            flags: crate::reading::DATABASE_FLAGS.iter().map(|flag| (*flag).to_owned()).collect(),
        });
        Ok(layout)
    }
}
