//! What the guides say to write into another program's configuration, that program takes.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The blocks of a guide that are marked with this word.
fn blocks(guide: &str, word: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides").join(guide);
    let text = fs::read_to_string(path).unwrap();
    let fence = format!("```{word}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn chrony_reads_what_the_guide_says() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = blocks("linux.md", "chrony");
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        let file = folder.path().join("chrony.conf");
        fs::write(&file, &block).unwrap();
        let said = Command::new("chronyd")
            .args(["-p", "-f"])
            .arg(&file)
            .output()
            .expect("chronyd is installed: apt-get install chrony");
        assert!(said.status.success(), "{}\n{block}", String::from_utf8_lossy(&said.stderr));
    }
}

/// A line for `reg` that names another key or forgets a part is worse than none.
#[test]
fn every_line_for_the_windows_registry_is_whole() {
    let lines: Vec<String> = blocks("windows.md", "bat")
        .iter()
        .flat_map(|block| block.lines())
        .filter(|line| line.starts_with("reg "))
        .map(str::to_owned)
        .collect();
    assert!(lines.len() >= 9, "{lines:?}");
    for line in lines {
        let (key, values) = line.strip_prefix("reg add \"").unwrap().split_once("\" ").unwrap();
        assert!(key.starts_with(r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time\"), "{line}");
        let words: Vec<&str> = values.split(' ').collect();
        assert!(matches!(words[..], ["/v", _, "/t", "REG_DWORD", "/d", _, "/f"]), "{line}");
        let value =
            words[5].strip_prefix("0x").map_or_else(|| words[5].parse(), |hex| u32::from_str_radix(hex, 16));
        assert!(value.is_ok(), "{line}");
    }
}
