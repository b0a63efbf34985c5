//! Whatever is said in one language is said in all three.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Finding;

/// The language that the others are held against, and the others.
const FIRST: &str = "en";
const OTHERS: [&str; 2] = ["ko", "ja"];

/// Compares every file of words under `web/` named after the first language with its neighbours.
pub(crate) fn check(root: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut catalogues = 0;
    for file in files.iter().filter(|file| file.starts_with("web") && catalogue(file)) {
        catalogues += 1;
        let expected = keys(&read(&root.join(file))?);
        for language in OTHERS {
            let other = file.with_file_name(language).with_extension(file.extension().unwrap_or_default());
            if !files.contains(&other) {
                findings.push(format!("{} is missing", other.display()));
                continue;
            }
            let found = keys(&read(&root.join(&other))?);
            findings.extend(
                expected
                    .iter()
                    .filter(|key| !found.contains(key))
                    .map(|key| format!("{}: {key} is missing", other.display())),
            );
            findings.extend(
                found
                    .iter()
                    .filter(|key| !expected.contains(key))
                    .map(|key| format!("{}: {key} is one too many", other.display())),
            );
        }
    }
    if catalogues == 0 {
        findings.push("there is no file of English words under web/".into());
    }
    Ok(findings)
}

fn catalogue(file: &Path) -> bool {
    file.file_stem().is_some_and(|stem| stem == FIRST)
        && file.extension().is_some_and(|extension| extension == "ts" || extension == "json")
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// The keys of an object literal, one a line, each with the keys around it: `agents.verdict.within`.
fn keys(text: &str) -> Vec<String> {
    let mut around: Vec<String> = Vec::new();
    let mut keys = Vec::new();
    for line in text.lines().map(str::trim) {
        let name = line.split_once(':').map(|(name, _)| name.trim_matches(['"', '\''])).filter(|name| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        });
        if let Some(name) = name {
            let path: Vec<&str> =
                around.iter().map(String::as_str).filter(|part| !part.is_empty()).chain([name]).collect();
            keys.push(path.join("."));
        }
        if line.ends_with('{') {
            around.push(name.unwrap_or_default().to_owned());
        } else if line.starts_with('}') {
            around.pop();
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_one_language_lacks_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("web")).unwrap();
        for (name, text) in [
            (
                "en.ts",
                "export const en = {\n  hello: \"Hello\",\n  clock: {\n    right: \"right\",\n  },\n};\n",
            ),
            ("ko.ts", "export const ko: Words = {\n  hello: \"안녕\",\n  clock: {\n  },\n};\n"),
            (
                "ja.ts",
                "export const ja: Words = {\n  \"hello\": \"今日は\",\n  clock: {\n    right: \"正\",\n    wrong: \"誤\",\n  },\n};\n",
            ),
        ] {
            std::fs::write(folder.path().join("web").join(name), text).unwrap();
        }
        let files = ["web/en.ts", "web/ja.ts", "web/ko.ts"].map(PathBuf::from);
        assert_eq!(
            check(folder.path(), &files).unwrap(),
            ["web/ko.ts: clock.right is missing", "web/ja.ts: clock.wrong is one too many"]
        );
    }
}
