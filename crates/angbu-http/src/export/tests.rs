use super::*;

const COLUMNS: [Column; 4] =
    [("name", Kind::Text), ("offset_ns", Kind::Number), ("steady", Kind::Flag), ("at", Kind::Instant)];

fn row(name: &str, number: i64) -> Vec<Cell> {
    vec![Cell::Text(name.to_owned()), Cell::Number(number), Cell::Flag(number > 0), Cell::Instant(number)]
}

#[test]
fn csv_quotes_and_runs_no_formula() {
    let mut csv = Csv::new(&COLUMNS);
    let rows = vec![
        row("db-3", -5),
        row("a,b", 0),
        row("say \"x\"\nthen", 1),
        row("=1+1", 2),
        row("-web", 3),
        row("@x", 4),
        row("+82", 5),
        vec![Cell::Nothing, Cell::Nothing, Cell::Nothing, Cell::Nothing],
    ];
    let text = String::from_utf8([csv.rows(rows), csv.end()].concat()).unwrap();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(lines[0], "name,offset_ns,steady,at");
    assert_eq!(lines[1], "db-3,-5,false,1969-12-31T23:59:59.999999995Z");
    assert_eq!(lines[2], "\"a,b\",0,false,1970-01-01T00:00:00.000000000Z");
    assert!(lines[3].starts_with("\"say \"\"x\"\"\nthen\",1,true,"));
    let texts: Vec<_> = lines[4..8].iter().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(texts, ["\"'=1+1\"", "\"'-web\"", "\"'@x\"", "\"'+82\""]);
    assert_eq!(lines[8], ",,,");
    // Where there is nothing, the names of the columns still are.
    let mut empty = Csv::new(&COLUMNS);
    assert_eq!(empty.end(), b"name,offset_ns,steady,at\r\n");
}

#[test]
fn parquet_comes_in_pieces() {
    let mut parquet = Parquet::new(&COLUMNS);
    let (mut file, mut most) = (Vec::new(), 0);
    for part in 0..40 {
        let rows = (0..1_000).map(|number| row("db-3", part * 1_000 + number)).collect();
        let piece = parquet.rows(rows);
        most = most.max(piece.len());
        file.extend(piece);
    }
    file.extend(parquet.end());
    assert!(most < file.len(), "it comes in more than one piece");
    assert_eq!((&file[..4], &file[file.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));
}
