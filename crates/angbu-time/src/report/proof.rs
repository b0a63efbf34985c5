//! The page's end: what was erased, what the report proves and what not, who signed it, and how to check that.

use std::fmt::Write as _;

use angbu_evidence::erasure::Erased;

use super::html::{escape, name, sentence};
use super::page::{Page, begin_table, filled};
use super::{figures, rows};

impl Page<'_> {
    pub(super) fn proofs(&self, out: &mut String) {
        let (words, proven) = (self.words, self.facts.proven);
        let values = [
            ("customer", name(&self.facts.customer)),
            ("first", figures::count(proven.complete_from)),
            ("last", figures::count(proven.counter.count)),
            ("size", figures::count(proven.checkpoint.size)),
            ("origin", name(&proven.checkpoint.origin)),
            ("time", format!("{} UTC", figures::instant(self.data_until(), self.decimals()))),
        ];
        let mut shown = vec![words.proven_log, words.proven_complete, words.proven_verdicts];
        if self.facts.is_signed {
            shown.insert(2, words.proven_signed);
        }
        let not_shown = vec![words.not_proven_agent, words.not_proven_reference, words.not_proven_elsewhere];
        for (heading, sentences) in [(words.proven, shown), (words.not_proven, not_shown)] {
            let _ = writeln!(out, "<h2>{}</h2>\n<ul class=\"says\">", escape(heading));
            for said in sentences {
                let _ = writeln!(out, "<li>{}</li>", sentence(&filled(said, &values)));
            }
            let rests = self.facts.servers.iter().any(|server| server.summarised.entries > 0);
            if rests && heading == words.not_proven {
                let _ = writeln!(out, "<li>{}</li>", sentence(words.not_proven_summaries));
            }
            out.push_str("</ul>\n");
        }
    }

    /// What can be read no more, where that is anything.
    pub(super) fn erased(&self, out: &mut String) {
        let words = self.words;
        let mut erased = self.facts.proven.erasures().filter(|(_, erased)| self.shows(erased)).peekable();
        if erased.peek().is_none() {
            return;
        }
        let (heading, about) = (escape(words.erased_fields), escape(words.erased_about));
        let _ = writeln!(out, "<h2>{heading}</h2>\n<p class=\"soft\">{about}</p>");
        let headings = [words.entry, words.fields, words.when, words.erased_by, words.reason];
        begin_table("erased", &headings, out);
        for (by, erased) in erased.by_ref().take(rows::MOST) {
            let _ = writeln!(
                out,
                "<tr><td class=\"fixed\">{}</td><td>{}</td><td class=\"fixed\">{}</td>\
                 <td class=\"fixed\">{}</td><td><bdi>{}</bdi></td></tr>",
                erased.entry,
                escape(&name(&erased.fields.join(", "))),
                figures::instant(by.entry.time, self.decimals()),
                by.index,
                escape(&name(by.fields.text("reason").unwrap_or(words.none)))
            );
        }
        out.push_str("</tbody>\n</table></div>\n");
        let more = erased.count();
        if more > 0 {
            let values = [("count", figures::count(u64::try_from(more).unwrap_or(u64::MAX)))];
            let _ = writeln!(out, "<p class=\"soft\">{}</p>", escape(&filled(words.more_events, &values)));
        }
    }

    /// Whether the entry that something was erased from is in the report.
    fn shows(&self, erased: &Erased) -> bool {
        self.facts.proven.entries.iter().any(|entry| entry.entry.id == erased.entry)
    }

    pub(super) fn check(&self, out: &mut String) {
        let (words, proven) = (self.words, self.facts.proven);
        let hex = |id: [u8; 4]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let logs = || proven.signers.iter().filter(|signer| signer.cosigned_at.is_none());
        let id = logs().next().map(|signer| hex(signer.key.key_id())).unwrap_or_default();
        let values = [("origin", name(&proven.checkpoint.origin)), ("id", id)];
        let _ = writeln!(
            out,
            "<h2>{}</h2>\n<pre>angbu verify FILE --key KEY</pre>\n<p>{}</p>\n<p>{}</p>\n<p>{}</p>\n<pre>python3 verify.py FILE KEY</pre>\n<p>{}</p>\n<dl>",
            escape(words.check),
            escape(&filled(words.check_key, &values)),
            escape(words.check_signers),
            escape(words.check_python),
            escape(words.check_head)
        );
        let signers =
            logs().map(|signer| format!("{} ({})", name(signer.key.name()), hex(signer.key.key_id())));
        let witnesses = proven.signers.iter().filter_map(|signer| {
            let values = [
                ("name", name(signer.key.name())),
                ("id", hex(signer.key.key_id())),
                ("time", figures::instant(signer.cosigned_at?, 0)),
            ];
            Some(filled(words.cosigned, &values))
        });
        let witnesses: Vec<_> = witnesses.collect();
        let witnesses = if witnesses.is_empty() { vec![words.none.to_owned()] } else { witnesses };
        let rows = [
            (words.log, vec![name(&proven.checkpoint.origin)]),
            (words.log_size, vec![figures::count(proven.checkpoint.size)]),
            (words.log_root, vec![proven.checkpoint.root.to_string()]),
            (words.signed_by, signers.collect()),
            (words.witnesses, witnesses),
        ];
        for (term, values) in rows {
            let _ = write!(out, "<dt>{}</dt>", escape(term));
            for value in values {
                let _ = write!(out, "<dd><code>{}</code></dd>", escape(&value));
            }
            out.push('\n');
        }
        out.push_str("</dl>\n");
    }
}
