//! A comparison as one page that stands by itself: no script, no picture, nothing loaded; made to be read and printed.

use std::fmt::Write as _;

use backstock_operations::{DiffSummary, ToldDifference};

use super::text::{HEADINGS, group_of, summary_lines, text_of};

/// Differences of one group that the page shows; their number is told.
const SHOWN_IN_GROUP: usize = 5_000;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;color:#1b1f24;background:#fff;max-width:72em;margin:2em auto;padding:0 1em}\
h1{font-size:1.5em;margin:0 0 .3em}h2{font-size:1.1em;margin:1.8em 0 .4em;border-bottom:1px solid #c9d1d9}\
h2.alarm{color:#a40e26;border-color:#a40e26}pre{font:13px/1.4 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere;margin:0}\
table{border-collapse:collapse;width:100%}td{vertical-align:top;padding:.25em .8em .25em 0;border-bottom:1px solid #eaeef2}\
td.item{font:12px ui-monospace,monospace;color:#57606a;white-space:nowrap}ul{padding-left:1.2em}.note{color:#57606a}\
@media print{body{margin:0;max-width:none;font-size:11pt}h2{break-after:avoid}tr{break-inside:avoid}}";

/// The differences of each group, as they will stand on the page.
#[derive(Default)]
pub(super) struct Page([(usize, String); HEADINGS.len()]);

impl Page {
    pub(super) fn add(&mut self, told: &ToldDifference) {
        let (count, rows) = &mut self.0[group_of(&told.difference)];
        *count += 1;
        if *count <= SHOWN_IN_GROUP {
            let text = escaped(&text_of(&told.difference));
            let item = escaped(&told.item);
            // A `String` takes whatever is written.
            let _ = writeln!(rows, "<tr><td class=\"item\">{item}</td><td><pre>{text}</pre></td></tr>");
        }
    }

    /// The whole page.
    pub(super) fn html(&self, summary: &DiffSummary) -> String {
        let mut lines = summary_lines(summary).into_iter();
        let title = escaped(&lines.next().unwrap_or_default());
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<pre>"
        );
        for line in lines {
            page.push_str(&escaped(&line));
            page.push('\n');
        }
        page.push_str("</pre>\n");
        if !summary.notes.is_empty() {
            page.push_str("<ul class=\"note\">\n");
            for note in &summary.notes {
                let _ = writeln!(page, "<li>{}</li>", escaped(&crate::terminal::printable(note)));
            }
            page.push_str("</ul>\n");
        }
        for (group, (heading, (count, rows))) in HEADINGS.iter().zip(&self.0).enumerate() {
            if *count == 0 {
                continue;
            }
            let class = if group == 0 { " class=\"alarm\"" } else { "" };
            let _ = write!(page, "<h2{class}>{}: {count}</h2>\n<table>\n{rows}</table>\n", escaped(heading));
            if *count > SHOWN_IN_GROUP {
                let more = count - SHOWN_IN_GROUP;
                let _ = writeln!(page, "<p class=\"note\">… and {more} more (--json has them)</p>");
            }
        }
        page.push_str(
            "<p class=\"note\">One of them is taken back by <code>backstock restore &lt;the earlier backup&gt; --from-diff \
             &lt;its name on the left&gt;</code>, as long as the shop is still as shown here.</p>\n</body>\n</html>\n",
        );
        page
    }
}

/// A text with nothing in it that means something to a browser.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_shop_means_something_to_a_browser() {
        assert_eq!(
            escaped("<script>alert('x')</script>&\"é"),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;é"
        );
    }
}
