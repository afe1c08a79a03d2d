//! A database in two states that differ in every way that a swap has to bridge.

use backstock_testbed::{Server, Snapshot};

use super::super::super::dump::tests::{MemoryTarget, dump_with, settings};
use super::picture;
use crate::dump::{DumpReport, DumpRequest};

pub(super) struct Shop {
    pub(super) report: DumpReport,
    pub(super) target: MemoryTarget,
    /// What was dumped.
    pub(super) new: Snapshot,
    /// What is there now.
    pub(super) old: Snapshot,
    /// A database with a child of a table in the shop.
    pub(super) other: Snapshot,
}

/// A name of 64 characters.
const LONG: &str = "l234567890123456789012345678901234567890123456789012345678901234";

/// What both states are made from; the tables are filled differently afterwards.
fn base() -> String {
    format!(
        "SET foreign_key_checks=0;
        CREATE TABLE parent (id INT NOT NULL AUTO_INCREMENT, code VARCHAR(20) NOT NULL DEFAULT 'x', PRIMARY KEY (id),
            UNIQUE KEY code (code), KEY both_of (code, id)) ENGINE=InnoDB;
        CREATE TABLE child (id INT NOT NULL PRIMARY KEY, parent_id INT, self_id INT, amount INT,
            KEY parent_id (parent_id), KEY self_id (self_id), FULLTEXT KEY ft (note), note TEXT,
            CONSTRAINT child_ibfk_1 FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE,
            CONSTRAINT to_itself FOREIGN KEY (self_id) REFERENCES child (id),
            CONSTRAINT amount_positive CHECK (amount >= 0), CONSTRAINT child_chk_9 CHECK (amount < 1000000)) ENGINE=InnoDB;
        CREATE TABLE ring_a (id INT NOT NULL PRIMARY KEY, b INT, KEY b (b),
            CONSTRAINT ring_ab FOREIGN KEY (b) REFERENCES ring_b (id)) ENGINE=InnoDB;
        CREATE TABLE ring_b (id INT NOT NULL PRIMARY KEY, a INT, KEY a (a),
            CONSTRAINT ring_ba FOREIGN KEY (a) REFERENCES ring_a (id) ON UPDATE SET NULL) ENGINE=InnoDB;
        CREATE TABLE `{LONG}` (`{LONG}` INT NOT NULL PRIMARY KEY, b GEOMETRY NOT NULL, SPATIAL KEY b (b)) ENGINE=InnoDB;
        CREATE TABLE keyless (a INT, b BINARY(2) DEFAULT x'00FF', e ENUM('x','') , f FLOAT) ENGINE=InnoDB;
        CREATE TABLE parted (id INT NOT NULL, y INT NOT NULL, PRIMARY KEY (id, y), KEY y (y)) ENGINE=InnoDB
            PARTITION BY RANGE (y) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE);
        CREATE TABLE odd_engine (id INT NOT NULL AUTO_INCREMENT, g INT NOT NULL, v INT AS (g * 2) VIRTUAL,
            PRIMARY KEY (g, id), KEY id (id)) ENGINE=MyISAM;
        INSERT INTO parent (id, code) VALUES (1,'a'),(2,'b'),(7,'c\\'d');
        INSERT INTO child (id, parent_id, self_id, amount, note) VALUES (1,1,1,5,'some words'),(2,7,1,6,'other words');
        INSERT INTO ring_a VALUES (1,1); INSERT INTO ring_b VALUES (1,1);
        INSERT INTO `{LONG}` VALUES (1, ST_GeomFromText('POINT(1 2)'));
        INSERT INTO keyless VALUES (1, x'5C27', '', 1.1), (1, x'5C27', '', 1.1), (NULL, NULL, NULL, 16777215);
        INSERT INTO parted VALUES (1, 5), (2, 50);
        INSERT INTO odd_engine (id, g) VALUES (3, 1), (4, 2);
        CREATE TABLE log (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, what VARCHAR(50)) ENGINE=InnoDB;
        CREATE TRIGGER first_of BEFORE INSERT ON child FOR EACH ROW SET NEW.amount = NEW.amount + 1;
        CREATE TRIGGER second_of BEFORE INSERT ON child FOR EACH ROW SET NEW.amount = NEW.amount * 2;
        CREATE TRIGGER logs AFTER INSERT ON parent FOR EACH ROW INSERT INTO log (what) VALUES (NEW.code);
        CREATE FUNCTION double_of(n INT) RETURNS INT DETERMINISTIC RETURN n * 2;
        CREATE PROCEDURE touches() INSERT INTO log (what) VALUES ('touched; really');
        CREATE VIEW a_view AS SELECT id, double_of(amount) AS twice FROM z_view;
        CREATE VIEW z_view AS SELECT id, amount FROM child WHERE amount > 0 WITH CHECK OPTION;
        CREATE EVENT daily ON SCHEDULE EVERY 1 DAY STARTS '2031-01-01 00:00:00' ON COMPLETION PRESERVE ENABLE
            COMMENT 'ENABLE me' DO INSERT INTO log (what) VALUES ('day');
        CREATE EVENT off_event ON SCHEDULE AT '2032-02-02 00:00:00' ON COMPLETION PRESERVE DISABLE DO DELETE FROM log;
        "
    )
    // The order of creation must not matter for a view over a view.
    .replace("CREATE VIEW a_view", "CREATE VIEW z_view AS SELECT 1 AS id, 1 AS amount; CREATE VIEW a_view")
    .replace("CREATE VIEW z_view AS SELECT id,", "CREATE OR REPLACE VIEW z_view AS SELECT id,")
}

/// What has happened since the dump.
fn later() -> String {
    "SET foreign_key_checks=0;
        DROP TABLE keyless;
        DROP TABLE ring_b;
        CREATE VIEW ring_b AS SELECT 1 AS id;
        DELETE FROM child WHERE id = 2;
        UPDATE parent SET code = 'changed' WHERE id = 1;
        ALTER TABLE parent ADD COLUMN extra INT, AUTO_INCREMENT = 500;
        ALTER TABLE parted DROP PARTITION p1;
        CREATE TABLE added (id INT NOT NULL PRIMARY KEY, parent_id INT, KEY parent_id (parent_id),
            CONSTRAINT ring_ba FOREIGN KEY (parent_id) REFERENCES parent (id),
            CONSTRAINT added_positive CHECK (id > 0)) ENGINE=InnoDB;
        INSERT INTO added VALUES (1, 1);
        DROP TRIGGER second_of;
        CREATE TRIGGER second_of AFTER DELETE ON child FOR EACH ROW INSERT INTO log (what) VALUES ('gone');
        CREATE TRIGGER late BEFORE UPDATE ON added FOR EACH ROW SET NEW.id = NEW.id;
        DROP FUNCTION double_of;
        CREATE FUNCTION double_of(n INT) RETURNS INT DETERMINISTIC RETURN n * 3;
        CREATE PROCEDURE extra_procedure() SELECT 1;
        DROP VIEW a_view; CREATE VIEW late_view AS SELECT id FROM added;
        CREATE TABLE a_view (id INT NOT NULL PRIMARY KEY) ENGINE=InnoDB; INSERT INTO a_view VALUES (9);
        DROP EVENT off_event;
        CREATE EVENT late_event ON SCHEDULE EVERY 2 DAY STARTS '2033-01-01 00:00:00' ENABLE DO DELETE FROM log;
        ALTER DATABASE COLLATE utf8mb4_unicode_ci;
        "
    .to_owned()
}

/// Makes the first state, dumps it, and makes the second.
pub(super) fn two_states(server: &Server) -> Shop {
    server.client("", "CREATE DATABASE shop COLLATE utf8mb4_bin; CREATE DATABASE other").unwrap();
    let mysql = server.kind().is_mysql();
    server.client("shop", base()).unwrap();
    if !mysql {
        server
            .client(
                "shop",
                "CREATE SEQUENCE numbers START WITH 5 INCREMENT BY 3; SELECT NEXTVAL(numbers);
                 CREATE SEQUENCE only_then; SELECT NEXTVAL(only_then);
                 CREATE TABLE numbered (id INT NOT NULL DEFAULT NEXTVAL(only_then) PRIMARY KEY, b INT) ENGINE=InnoDB;
                 INSERT INTO numbered (b) VALUES (1), (2);
                 CREATE TABLE versioned (a INT PRIMARY KEY) ENGINE=InnoDB WITH SYSTEM VERSIONING;
                 INSERT INTO versioned VALUES (1); UPDATE versioned SET a = 2;",
            )
            .unwrap();
    }
    let child = "CREATE TABLE outside (id INT NOT NULL PRIMARY KEY, parent_id INT, KEY k (parent_id),
        CONSTRAINT from_outside FOREIGN KEY (parent_id) REFERENCES shop.parent (id)) ENGINE=InnoDB;
        INSERT INTO outside VALUES (1, 1);";
    server.client("other", child).unwrap();
    let new = picture(server, "shop");
    let (report, target) = dump_with(&settings(server), &DumpRequest::whole("shop")).unwrap();
    assert_eq!(report.problems, []);
    server.client("shop", later()).unwrap();
    if !mysql {
        server
            .client(
                "shop",
                "SELECT NEXTVAL(numbers); DROP TABLE numbered; DROP SEQUENCE only_then; CREATE SEQUENCE only_now;
                 DROP TABLE versioned;",
            )
            .unwrap();
    }
    let (old, other) = (picture(server, "shop"), picture(server, "other"));
    Shop { report, target, new, old, other }
}
