//! A backup that carries what an intruder planted says so before it is restored, and is restored all the same (F60).

use std::fs;

use backstock_testbed::ServerKind;

use super::restore_shop::{backup, expect_clean, restore, scene, scratch, sql};

/// The lines of a plan that speak of code that the backup before had not.
fn told(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.contains(" since the backup ")).collect()
}

fn planted_code_is_told(kind: ServerKind) {
    let Some(scene) = scene(kind, 5) else { return };
    let first = backup(&scene, &[]);
    let image = scene.shop.root().join("image");
    fs::write(image.join("index.html"), "harmless").unwrap();
    fs::write(scene.shop.root().join("system/library/new.php"), "<?php").unwrap();
    sql(&scene, &["UPDATE oc_product SET price = price + 1", "CREATE VIEW oc_v_new AS SELECT 1 AS one"]);
    let harmless = backup(&scene, &[]);
    fs::create_dir_all(image.join("catalog/.cache")).unwrap();
    fs::write(image.join("catalog/.cache/thumb.php"), "<?php system($_GET['c']);").unwrap();
    fs::write(image.join(".htaccess"), "AddType application/x-httpd-php .jpg\n").unwrap();
    sql(
        &scene,
        &[
            "CREATE TRIGGER oc_leak AFTER INSERT ON oc_customer FOR EACH ROW SET @card = NEW.email",
            "CREATE EVENT oc_back_door ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' DO SET @a = 1",
            "ALTER EVENT oc_hourly DO DELETE FROM oc_order",
        ],
    );
    let planted = backup(&scene, &[]);
    scratch(&scene);

    for (id, expected) in [(&first, 0), (&harmless, 0), (&planted, 3)] {
        let plan = scene.place.run(&["restore", id, "--dry-run"]).expect(0);
        assert_eq!(told(&plan.stdout).len(), expected, "{}", plan.stdout);
    }
    let plan = scene.place.run(&["restore", &planted, "--dry-run"]).expect(0);
    for word in ["trigger oc_leak", "event oc_back_door", "event oc_hourly", "thumb.php", "image/.htaccess"] {
        assert!(plan.stdout.contains(word), "{word}: {}", plan.stdout);
    }
    assert!(!plan.stdout.contains("new.php") && !plan.stdout.contains("index.html"), "{}", plan.stdout);
    // Only what is restored is told of.
    let files = scene.place.run(&["restore", &planted, "--dry-run", "--only", "files"]).expect(0);
    assert!(files.stdout.contains("thumb.php") && !files.stdout.contains("oc_leak"), "{}", files.stdout);

    let run = restore(&scene, &[&planted, "--without-snapshot"]).expect(0);
    assert_eq!(told(&run.stderr).len(), 3, "{}", run.stderr);
    scene.place.run(&["restore", "--accept"]).expect(0);
    expect_clean(&scene);
}

#[test]
fn f60_planted_code_is_told_before_it_is_restored_on_mariadb() {
    planted_code_is_told(ServerKind::MariaDb);
}

#[test]
fn f60_planted_code_is_told_before_it_is_restored_on_mysql() {
    planted_code_is_told(ServerKind::MySql);
}
