//! Text on its way into HTML. Names come from whoever enrolled an agent, and are taken for hostile.

/// The longest name that is shown.
const LONGEST_NAME: usize = 80;

/// Text as HTML's content or as the value of a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

/// A sentence as HTML's content, in which no figure is parted from its unit at the end of a line.
pub(super) fn sentence(text: &str) -> String {
    let escaped = escape(text);
    let mut out = String::with_capacity(escaped.len() + 64);
    let mut words = escaped.split(' ').peekable();
    while let Some(word) = words.next() {
        match words.next_if(|unit| word.ends_with(|c: char| c.is_ascii_digit()) && begins_with_unit(unit)) {
            Some(unit) => out.push_str(&["<span class=\"fixed\">", word, " ", unit, "</span>"].concat()),
            None => out.push_str(word),
        }
        if words.peek().is_some() {
            out.push(' ');
        }
    }
    out
}

fn begins_with_unit(word: &str) -> bool {
    let rest = |unit| {
        word.strip_prefix(unit)
            .is_some_and(|rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
    };
    ["%", "ns", "µs", "ms", "s", "min", "h", "d", "ppm", "UTC"].into_iter().any(rest)
}

/// A name to be shown within other text: what would hide, reorder or break the text around it is made visible, and it is cut to a length.
pub(crate) fn name(text: &str) -> String {
    let mut out: String =
        text.chars().take(LONGEST_NAME).map(|c| if misleads(c) { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LONGEST_NAME).is_some() {
        out.push('…');
    }
    out
}

/// Control characters, and the format characters of Unicode that are seen only by what they do to others: direction, joining,
/// invisible fillers and tags.
fn misleads(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Puts values in place of `{key}` in a template. Unknown keys stay, which a test forbids.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((key, later)) = after.split_once('}') else {
            rest = after;
            break;
        };
        // A value is never looked at again, whatever braces it holds.
        out.push_str(values.iter().find(|(name, _)| *name == key).map_or(key, |(_, value)| value));
        rest = later;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_names_stay_text() {
        let hostile = "</template><script>alert(1)</script>\u{202e}gro\u{0}";
        let shown = escape(&name(hostile));
        assert_eq!(shown, "&lt;/template&gt;&lt;script&gt;alert(1)&lt;/script&gt;\u{fffd}gro\u{fffd}");
        assert_eq!(name(&"x".repeat(81)), format!("{}…", "x".repeat(80)));
        assert_eq!(name("db-3 서버 サーバー"), "db-3 서버 サーバー");
    }

    #[test]
    fn figures_keep_their_units() {
        let text = "<b> was within 50 ms for 99.2 % of 3 servers, 0.8 %는";
        let html = "&lt;b&gt; was within <span class=\"fixed\">50 ms</span> for <span class=\"fixed\">99.2 %</span> of 3 servers, \
                    <span class=\"fixed\">0.8 %는</span>";
        assert_eq!(sentence(text), html);
        assert_eq!(sentence(""), "");
        assert_eq!(sentence(" a  b "), " a  b ");
    }

    #[test]
    fn values_are_not_templates() {
        assert_eq!(fill("{a} and {b}", &[("a", "{b}"), ("b", "}{")]), "{b} and }{");
        assert_eq!(fill("{a", &[("a", "x")]), "a");
    }

    proptest! {
        #[test]
        fn nothing_gets_out_of_text(text in ".*") {
            let shown = escape(&name(&text));
            prop_assert!(!shown.contains(['<', '>', '"', '\'']));
        }
    }
}
