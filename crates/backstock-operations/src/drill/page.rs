//! The report of a drill as one page of HTML that needs nothing else: no script, no picture, no font, nothing from elsewhere.

use std::fmt::Write;

use super::report::{DrillReport, DrillVerdict, SanityState};

const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}\
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}\
.verdict{padding:1rem;border:2px solid;border-radius:.4rem;font-size:1.2rem}\
.proven{border-color:#1b7a3d;color:#145a2d}.proven-except{border-color:#a86400;color:#7a4900}\
.not-restorable{border-color:#b00020;color:#8a0019}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #ccc;\
vertical-align:top;overflow-wrap:anywhere}td.number{text-align:right;white-space:nowrap}code{font-size:.85em}\
@media print{body{margin:0;max-width:none;font-size:11pt}h2{break-after:avoid}tr{break-inside:avoid}}";

/// Text from outside as HTML text or as the value of an attribute; what could turn or hide other text becomes visible.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        let turns =
            matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ if letter.is_control() && letter != '\n' || turns => safe.extend(letter.escape_unicode()),
            _ => safe.push(letter),
        }
    }
    safe
}

/// `6 min 40.5 s`.
fn duration(elapsed_ms: u64) -> String {
    let (minutes, rest) = (elapsed_ms / 60_000, elapsed_ms % 60_000);
    let seconds = format!("{}.{} s", rest / 1000, rest % 1000 / 100);
    if minutes == 0 { seconds } else { format!("{minutes} min {seconds}") }
}

struct Page(String);

impl Page {
    fn line(&mut self, html: &str) {
        self.0.push_str(html);
        self.0.push('\n');
    }

    /// Rows of cells, already escaped; a cell of digits is set to the right.
    fn table(&mut self, title: &str, head: &[&str], rows: &[Vec<String>]) {
        if rows.is_empty() {
            return;
        }
        self.line(&format!("<h2>{title}</h2>\n<table>"));
        let cells: String = head.iter().map(|cell| format!("<th scope=\"col\">{cell}</th>")).collect();
        self.line(&format!("<thead><tr>{cells}</tr></thead>\n<tbody>"));
        for row in rows {
            let mut cells = String::new();
            for cell in row {
                let is_number = !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit());
                let class = if is_number { " class=\"number\"" } else { "" };
                let _ = write!(cells, "<td{class}>{cell}</td>");
            }
            self.line(&format!("<tr>{cells}</tr>"));
        }
        self.line("</tbody>\n</table>");
    }

    fn list(&mut self, title: &str, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        self.line(&format!("<h2>{title}</h2>\n<ul>"));
        for line in lines {
            self.line(&format!("<li>{}</li>", escaped(line)));
        }
        self.line("</ul>");
    }
}

/// The report as a page that can be kept and printed.
pub fn drill_page(report: &DrillReport) -> String {
    let mut page = Page(String::new());
    let shop = escaped(&report.shop);
    page.line("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">");
    page.line("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    page.line("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">");
    page.line(&format!("<title>Restore drill of {shop}</title>\n<style>{STYLE}</style>\n</head>\n<body>"));
    page.line(&format!("<h1>Restore drill of {shop}</h1>"));
    let took = duration(report.elapsed_ms);
    let (class, verdict) = match report.verdict {
        DrillVerdict::Proven => {
            ("proven", format!("Proven restorable on {:.0}, took {took}.", report.finished))
        }
        DrillVerdict::ProvenExcept => (
            "proven-except",
            format!(
                "Restorable but for the exceptions below: drilled on {:.0}, took {took}.",
                report.finished
            ),
        ),
        DrillVerdict::ProvenInPart => (
            "proven-except",
            format!(
                "The database and the files in its own archive are restorable, drilled on {:.0}, took {took}; what it builds on \
                 could not be opened here.",
                report.finished
            ),
        ),
        DrillVerdict::NotRestorable => {
            ("not-restorable", format!("Not restorable as it is: drilled on {:.0}.", report.finished))
        }
    };
    page.line(&format!("<p class=\"verdict {class}\">{}</p>", escaped(&verdict)));
    facts(&mut page, report);
    page.list("What is wrong", &report.faults);
    page.list("Exceptions", &report.exceptions);
    details(&mut page, report);
    page.list("To know", &report.notes);
    if report.left_out > 0 {
        page.line(&format!("<p>{} more lines were left out.</p>", report.left_out));
    }
    page.line("</body>\n</html>");
    page.0
}

fn facts(page: &mut Page, report: &DrillReport) {
    let mut rows = vec![
        vec!["Backup".to_owned(), format!("<code>{}</code>", report.backup)],
        vec!["Made".to_owned(), format!("{:.0} ({}, {})", report.made, report.level, report.content)],
        vec!["Read from".to_owned(), escaped(&report.folder)],
        vec!["Length in bytes".to_owned(), report.stored_bytes.to_string()],
        vec!["Drill".to_owned(), format!("<code>{}</code>", report.run)],
        vec!["Begun".to_owned(), format!("{:.0}", report.started)],
    ];
    if let Some(database) = &report.database {
        rows.push(vec!["Dumped from".to_owned(), escaped(&database.source_server)]);
        rows.push(vec!["Restored on".to_owned(), escaped(&database.server)]);
        rows.push(vec!["Tables compared".to_owned(), database.tables.len().to_string()]);
        rows.push(vec!["Rows compared".to_owned(), database.rows.to_string()]);
        rows.push(vec!["Definitions compared".to_owned(), database.definitions.to_string()]);
    }
    if let Some(files) = &report.files {
        rows.push(vec!["Files compared".to_owned(), files.files.to_string()]);
        rows.push(vec!["Folders compared".to_owned(), files.folders.to_string()]);
        rows.push(vec!["Links compared".to_owned(), files.links.to_string()]);
        rows.push(vec!["Bytes of files".to_owned(), files.bytes.to_string()]);
    }
    page.table("What was drilled", &["Fact", "Value"], &rows);
}

fn details(page: &mut Page, report: &DrillReport) {
    let state = |state| match state {
        SanityState::Found => "there",
        SanityState::None => "none",
        SanityState::Missing => "missing",
        SanityState::NotAsked => "not known",
    };
    let rows: Vec<Vec<String>> = report
        .checks
        .iter()
        .map(|check| vec![check.what.to_owned(), state(check.state).to_owned(), escaped(&check.found)])
        .collect();
    page.table("The restored shop", &["Looked for", "State", "Found"], &rows);
    let rows: Vec<Vec<String>> =
        report.steps.iter().map(|step| vec![escaped(&step.what), duration(step.elapsed_ms)]).collect();
    page.table("Time", &["Step", "Took"], &rows);
    let tables = report.database.iter().flat_map(|database| &database.tables);
    let rows: Vec<Vec<String>> = tables
        .map(|table| {
            let checksum = format!("<code>{}</code>", escaped(&table.checksum));
            vec![escaped(&table.name), table.rows.to_string(), checksum]
        })
        .collect();
    page.table("Tables", &["Table", "Rows", "Checksum"], &rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_stays_text() {
        assert_eq!(escaped("<b title='x'>&\"</b>"), "&lt;b title=&#39;x&#39;&gt;&amp;&quot;&lt;/b&gt;");
        assert_eq!(escaped("x\u{202e}gpj\u{1b}[2J"), "x\\u{202e}gpj\\u{1b}[2J");
    }

    #[test]
    fn a_duration_reads_well() {
        assert_eq!((duration(950), duration(400_500)), ("0.9 s".to_owned(), "6 min 40.5 s".to_owned()));
    }
}
