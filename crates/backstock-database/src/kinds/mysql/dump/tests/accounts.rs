//! Accounts with fewer rights than root: a dump is complete, or names each right that is missing and what it costs.

use backstock_testbed::torture_database::{self, Survives, create_accounts};
use backstock_testbed::{Server, ServerKind, ServerOptions};

use super::{dump_with, essence, for_each_server, settings, settings_of, table, tables};
use crate::dump::{DumpReport, DumpRequest};
use crate::record::DumpedObject;

fn build(server: &Server) -> DumpReport {
    let wanted = ["C01", "C66", "C67", "C68", "C69", "C70", "C72", "C77", "C81"];
    torture_database::build_cases(server, "shop", |case| {
        wanted.contains(&case.number) && case.survives <= Survives::ReportOnly
    })
    .unwrap();
    server
        .client(
            "shop",
            "CREATE TRIGGER tr BEFORE INSERT ON c70_five FOR EACH ROW SET @a=1;\n\
             CREATE PROCEDURE pr() SELECT 1;\n\
             CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1;\n\
             CREATE TABLE other_engine (a INT) ENGINE=MyISAM;\nINSERT INTO other_engine VALUES (1);\n",
        )
        .unwrap();
    let (report, _) = dump_with(&settings(server), &DumpRequest::whole("shop")).unwrap();
    assert!(report.problems.is_empty(), "root: {:#?}", report.problems);
    report
}

fn count(report: &DumpReport, of: fn(&DumpedObject) -> bool) -> usize {
    report.objects.iter().filter(|object| of(object)).count()
}

fn mentions(report: &DumpReport, word: &str) -> bool {
    report.problems.iter().any(|problem| problem.object.contains(word))
}

#[test]
fn every_account_gives_a_complete_dump_or_names_what_is_missing() {
    for_each_server(&ServerOptions::default(), |server| {
        let root = build(server);
        for account in create_accounts(server, "shop").unwrap() {
            let settings = settings_of(server, account.user, account.password);
            let (report, _) = dump_with(&settings, &DumpRequest::whole("shop")).unwrap();
            let complete = report.objects.len() == root.objects.len();
            // A dump that lacks anything must say so; one that says nothing must lack nothing.
            assert!(
                complete || !report.problems.is_empty(),
                "{:?} {}: {} of {} objects, no problem",
                server.kind(),
                account.user,
                report.objects.len(),
                root.objects.len()
            );
            match account.user {
                "bk_schema" => {
                    assert_eq!(essence(&report), essence(&root), "{:?}", server.kind());
                    assert_eq!(
                        count(&report, |object| matches!(object, DumpedObject::Trigger(_))),
                        count(&root, |object| matches!(object, DumpedObject::Trigger(_)))
                    );
                }
                "bk_select" => {
                    assert!(
                        mentions(&report, "triggers") && mentions(&report, "events"),
                        "{:#?}",
                        report.problems
                    );
                    assert!(mentions(&report, "procedures"), "{:#?}", report.problems);
                    assert_eq!(table(&report, "c70_five").row_count, 5);
                    assert!(
                        report.notes.iter().any(|note| note.contains("LOCK TABLES")),
                        "{:#?}",
                        report.notes
                    );
                }
                "bk_columns" => {
                    assert_eq!(tables(&report).count(), 0);
                    assert!(mentions(&report, "c68_columns"), "{:#?}", report.problems);
                }
                "bk_some_tables" => {
                    assert_eq!(tables(&report).count(), 1);
                    assert!(mentions(&report, "tables"), "{:#?}", report.problems);
                }
                _ => {}
            }
        }
    });
}

#[test]
fn rights_through_a_role_count() {
    let Some(server) = Server::for_test(ServerKind::MySql, &ServerOptions::default()) else { return };
    server
        .client(
            "",
            "CREATE DATABASE shop; CREATE TABLE shop.t (a INT);\n\
             CREATE TRIGGER shop.tr BEFORE INSERT ON shop.t FOR EACH ROW SET @a=1;\n\
             CREATE ROLE reader; GRANT SELECT, TRIGGER, EVENT, SHOW VIEW, LOCK TABLES ON shop.* TO reader;\n\
             GRANT SHOW_ROUTINE ON *.* TO reader;\n\
             CREATE USER u IDENTIFIED BY 'p'; GRANT reader TO u; SET DEFAULT ROLE reader TO u;\n",
        )
        .unwrap();
    let (report, _) = dump_with(&settings_of(&server, "u", "p"), &DumpRequest::whole("shop")).unwrap();
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
    assert_eq!(report.objects.len(), 2);
}
