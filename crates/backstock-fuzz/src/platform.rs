//! Configuration files of shops: PHP, `.env`, and the YAML of `parameters.yml`.

use std::path::Path;
use std::sync::LazyLock;

use backstock_platform::{Folder, try_dotenv, try_php, try_yaml};

/// A folder of small PHP files, so that an `include` finds something.
static FORMS: LazyLock<Folder> = LazyLock::new(|| {
    let forms = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/shops/php-forms");
    Folder::open(&forms).expect("the repository has this folder")
});

/// Any bytes as a shop's PHP configuration, parsed and folded.
pub(crate) fn php_config(bytes: &[u8]) {
    try_php(&FORMS, bytes);
}

/// Any bytes as the other forms of settings.
pub(crate) fn settings_file(bytes: &[u8]) {
    try_dotenv(bytes);
    try_yaml(bytes);
}
