//! Tables as people write them.

use super::*;

fn read(text: &str) -> Result<Table, DataError> {
    read_with(text, TableOptions::default())
}

fn read_with(text: &str, options: TableOptions) -> Result<Table, DataError> {
    read_bytes(text.as_bytes(), &options)
}

fn read_bytes(bytes: &[u8], options: &TableOptions) -> Result<Table, DataError> {
    Table::from_bytes("t.csv", bytes, &Roles::label("class"), options)
}

fn read_weighted(text: &str) -> Result<Table, DataError> {
    let roles = Roles {
        weight: Some("w"),
        ..Roles::label("class")
    };
    Table::from_bytes("t.csv", text.as_bytes(), &roles, &TableOptions::default())
}

fn options(set: impl FnOnce(&mut TableOptions)) -> TableOptions {
    let mut options = TableOptions::default();
    set(&mut options);
    options
}

/// What looks wrong with a table.
fn warnings(table: &Table) -> Vec<String> {
    table.warnings.iter().map(ToString::to_string).collect()
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

/// The message of the error, which has to be one line.
fn message(result: Result<Table, DataError>) -> String {
    let message = result.expect_err("an error").to_string();
    assert!(!message.contains(['\n', '\r']), "{message:?}");
    message
}

#[test]
fn every_column_but_label_and_weight_is_a_feature_in_order() {
    let table = read_weighted("b, class ,w,a\n1, x ,0.5,2\n-3e1,y,2,+.5\n").unwrap();
    assert_eq!(table.feature_names, ["b", "a"]);
    assert_eq!(table.features, [1.0, 2.0, -30.0, 0.5]);
    assert_eq!(table.inputs, 2);
    assert_eq!(table.labels, ["x", "y"]);
    assert_eq!(table.weights, Some(vec![0.5, 2.0]));
    assert_eq!(table.lines, [2, 3]);
    assert_eq!(table.samples(), 2);
}

#[test]
fn a_byte_order_mark_quotes_and_a_missing_last_line_end_are_tolerated() {
    let table = read("\u{feff}\"class\",\"a,b\"\n\"x\",\"1\"").unwrap();
    assert_eq!(table.feature_names, ["a,b"]);
    assert_eq!(table.labels, ["x"]);
    // The weights are absent, not ones, where none are asked for.
    assert_eq!(table.weights, None);
}

#[test]
fn lines_are_those_of_the_file_with_any_line_end_and_empty_lines() {
    for end in ["\n", "\r\n", "\r"] {
        let text = "a,class\n1,x\n\n\n2,\"y\n\"\n3,z\n".replace('\n', end);
        assert_eq!(read(&text).unwrap().lines, [2, 5, 7], "{end:?}");
        assert_eq!(read(&format!("{end}{text}")).unwrap().lines, [3, 6, 8]);
    }
}

#[test]
fn a_missing_label_column_lists_the_columns_and_suggests_the_nearest() {
    let text = message(read("a,Classes,b\n1,x,2\n"));
    assert_eq!(
        text,
        "t.csv: line 1: no label column named \"class\" (did you mean \"Classes\"?); \
         the columns are \"a\", \"Classes\", \"b\""
    );
    let text = message(read_weighted("a,class\n1,x\n"));
    assert!(
        text.contains("no weight column named \"w\"; the columns are"),
        "{text}"
    );
}

#[test]
fn many_columns_are_not_all_listed() {
    let names: Vec<String> = (0..100).map(|i| format!("c{i}")).collect();
    let text = message(read(&names.join(",")));
    assert!(text.contains("\"c11\", … (100 in all)"), "{text}");
    assert!(!text.contains("\"c12\""), "{text}");
}

#[test]
fn duplicate_columns_are_refused() {
    assert_eq!(
        message(read("a,class, a\n1,x,2\n")),
        "t.csv: line 1: columns 1 and 3 are both named \"a\", expected distinct names"
    );
    // A column without a name goes by its number, which may be the name of another.
    assert!(message(read(",1,class\n0,1,x\n")).contains("both named \"1\""));
}

#[test]
fn columns_that_number_the_rows_and_columns_without_a_name_are_told() {
    let warnings = |text: &str| warnings(&read(text).unwrap());
    let found = warnings(",a,class\n0,5,x\n1,5,x\n2,7,y\n3,1,y\n");
    assert_eq!(
        found,
        [
            "t.csv: column \"1\", which has no name, numbers the rows and is used as a feature; leave it out with `drop` 1"
        ]
    );
    // Shuffled, and from any number.
    let found = warnings("id,a,class\n12,5,x\n10,5,x\n13,7,y\n11,1,y\n");
    assert!(
        found[0].contains("column \"id\" numbers the rows"),
        "{found:?}"
    );
    assert_eq!(
        warnings(",a,class\n0.5,5,x\n1,5,x\n2,7,y\n3,1,y\n"),
        ["t.csv: column 1 has no name and is used as a feature; leave it out with `drop` 1"]
    );
    // Three rows, a gap, a number twice: no counter.
    for rows in [
        "0,x\n1,x\n2,y\n",
        "0,x\n1,x\n2,y\n4,y\n",
        "0,x\n1,x\n2,y\n2,y\n",
    ] {
        assert!(warnings(&format!("a,class\n{rows}")).is_empty(), "{rows:?}");
    }
    let dropped = options(|it| it.drop = names(&["1"]));
    let table = read_with(",a,class\n0,5,x\n1,5,x\n2,7,y\n3,1,y\n", dropped).unwrap();
    assert_eq!(
        (table.feature_names, table.warnings),
        (names(&["a"]), vec![])
    );
}

#[test]
fn a_feature_that_is_not_a_finite_number_is_placed() {
    for text in ["abc", "inf", "-Infinity", "1e999", "1,5", "1_0", "0x1"] {
        assert_eq!(
            message(read(&format!("a,b,class\n1,2,x\n1,\"{text}\",y\n"))),
            format!("t.csv: line 3, column \"b\": found {text:?}, expected a finite number")
        );
    }
    for text in ["", "  ", "NaN", "NA", "n/a", "null", "?"] {
        let found = format!("{:?}", text.trim());
        assert_eq!(
            message(read(&format!("a,b,class\n1,2,x\n1,\"{text}\",y\n"))),
            format!(
                "t.csv: line 3, column \"b\": found {found}, expected a finite number (`missing` drop-rows leaves out \
                 rows with missing values)"
            )
        );
    }
}

const MIXED: &str = "age,sex,fare,deck,class\n\
    20,m,7.5,A,0\n\
    ,f,8,NA,1\n\
    22,f,9,B,0\n\
    23,m,10,,1\n";

#[test]
fn text_and_missing_values_are_told_all_at_once() {
    assert_eq!(
        message(read(MIXED)),
        "t.csv: expected a finite number in every row of a feature: \"age\" lacks 1 of 4 values, \"sex\" is text (\"m\" in \
         line 2), \"deck\" is text (\"A\" in line 2) and lacks 2 of 4 values; see `drop` sex,deck or `one_hot` sex,deck, \
         `missing` drop-rows"
    );
    assert_eq!(
        message(read("a,b,class\n1,x,p\n2,3,q\ny,4,p\nz,5,q\n")),
        "t.csv: expected a finite number in every row of a feature: \"a\" has text in 2 of 4 rows (\"y\" in line 4), \"b\" \
         has text in 1 of 4 rows (\"x\" in line 2); see `drop` a,b or `one_hot` a,b"
    );
    let commas = message(read("a;b;class\n1,5;2;x\n2,5;3;y\n"));
    assert!(commas.ends_with("`one_hot` a, `decimal_comma`"), "{commas}");
}

#[test]
fn text_is_dropped_or_encoded_and_rows_with_missing_values_are_left_out() {
    let settled = options(|it| {
        (it.drop, it.one_hot) = (names(&["deck"]), names(&["sex"]));
        it.missing = Missing::DropRows;
    });
    let table = read_with(MIXED, settled).unwrap();
    assert_eq!(table.feature_names, ["age", "sex=f", "sex=m", "fare"]);
    assert_eq!(
        table.features,
        [
            20.0, 0.0, 1.0, 7.5, 22.0, 1.0, 0.0, 9.0, 23.0, 0.0, 1.0, 10.0
        ]
    );
    assert_eq!(table.labels, ["0", "0", "1"]);
    assert_eq!(
        (&table.lines[..], &table.dropped[..]),
        (&[2, 4, 5][..], &[3][..])
    );
    assert_eq!(
        warnings(&table),
        ["t.csv: 1 of 4 rows have missing values and are left out"]
    );
    // The same columns again, as a network knows them, in a table of another order and with another category.
    let roles = Roles {
        features: Some(&table.columns),
        ..Roles::default()
    };
    let read =
        |text: &str| Table::from_bytes("p.csv", text.as_bytes(), &roles, &TableOptions::default());
    let again = read("fare,sex,deck,age\n1,m,A,2\n").unwrap();
    assert_eq!(again.features, [2.0, 0.0, 1.0, 1.0]);
    assert_eq!(again.labels, Vec::<String>::new());
    assert_eq!(
        warnings(&again),
        ["p.csv: the network has no features \"deck\", which are ignored"]
    );
    assert_eq!(
        message(read("fare,sex,age\n1,x,2\n")),
        "p.csv: line 2, column \"sex\": found \"x\", expected a category of the network's: \"f\", \"m\""
    );
    assert_eq!(
        message(read("fares,sex\n1,m\n")),
        "p.csv: line 1: lacks \"age\", \"fare\" of the network's features; the columns are \"fares\", \"sex\""
    );
    let nothing_left = options(|it| it.missing = Missing::DropRows);
    assert_eq!(
        message(read_with("a,b,class\n,1,x\n,2,y\n", nothing_left)),
        "t.csv: each of the 2 rows has a missing value; most are in column \"a\": leave it out with `drop`"
    );
}

#[test]
fn a_column_is_one_thing_only() {
    for (drop, one_hot, fragments) in [
        (
            &["class"][..],
            &[][..],
            "\"class\" is named as label column and as column to drop",
        ),
        (
            &["a"],
            &["a"],
            "\"a\" is named as column to drop and as column to encode one-hot",
        ),
        (&[], &["b"], "no column to encode one-hot named \"b\""),
        (&["a"], &[], "no feature columns"),
    ] {
        let options = options(|it| (it.drop, it.one_hot) = (names(drop), names(one_hot)));
        let found = message(read_with("a,class\n1,x\n", options));
        assert!(found.contains(fragments), "{found}");
    }
}

#[test]
fn a_row_of_numbers_is_no_header() {
    assert!(
        message(read("1.5,2.5,0\n1,2,1\n")).contains("line 1: the first row has numbers alone")
    );
    // Even where two of its values are the same.
    assert!(message(read("1,1,0\n1,2,1\n")).contains("`no_header`"));
    let iris = "5.1,3.5,setosa\n4.9,3,setosa\n7,3.2,versicolor\n";
    let roles = Roles::label("setosa");
    let read_as = |roles: &Roles, options: &TableOptions| {
        Table::from_bytes("t.csv", iris.as_bytes(), roles, options)
    };
    let found = message(read_as(&roles, &TableOptions::default()));
    assert!(found.contains("looks like those below it") && found.contains("`no_header`"));
    assert!(message(read(iris)).ends_with("(where the first row is a sample, say `no_header`)"));
    // Names that are numbers, as wavelengths are.
    assert!(read("400,402.5,class\n1,2,x\n3,4,y\n").is_ok());

    let headless = options(|it| it.no_header = true);
    let table = read_as(&Roles::label("3"), &headless).unwrap();
    assert_eq!(table.feature_names, ["1", "2"]);
    assert_eq!((table.samples(), &table.lines[..]), (3, &[1, 2, 3][..]));
    let found = message(read_as(&Roles::label("0"), &headless));
    assert!(
        found.ends_with("no label column named \"0\"; the columns are \"1\", \"2\", \"3\""),
        "{found}"
    );
}

#[test]
fn numbers_have_a_decimal_comma_where_asked_for() {
    let commas = options(|it| it.decimal_comma = true);
    let table = read_with("a;b;class\n1,5;-2;x\n,25;1e3;y\n", commas).unwrap();
    assert_eq!(table.features, [1.5, -2.0, 0.25, 1000.0]);
}

#[test]
fn a_long_or_broken_text_is_shown_on_one_short_line() {
    let text = message(read(&format!("a,class\n\"{}\n\",x\n", "é\n".repeat(1000))));
    assert!(text.len() < 300 && text.contains('…'), "{text}");
    assert!(message(read("a,class\n1,\"x\ny\"\n")).ends_with("expected a label on one line"));
    // A quote that is never closed would swallow the rest of the file.
    assert_eq!(
        message(read("a,class\n\"1,x\n2,y\n")),
        "t.csv: line 2: a quote that begins a field here is never closed"
    );
}

#[test]
fn a_ragged_row_is_placed() {
    assert_eq!(
        message(read("a,b,class\n1,2,x\n1,x\n")),
        "t.csv: line 3: found 2 fields, expected 3 as in the header (nothing from column \"class\" on)"
    );
    assert_eq!(
        message(read("a,b,class\n1,2,x,\n")),
        "t.csv: line 2: found 4 fields, expected 3 as in the header"
    );
}

#[test]
fn an_empty_label_is_placed() {
    assert_eq!(
        message(read("a,class\n1, \n")),
        "t.csv: line 2, column \"class\": found \"\", expected a label (`missing` drop-rows leaves out rows with \
         missing values)"
    );
    assert_eq!(
        message(read("a,class\n1,x\n2,\n3,NA\n")),
        "t.csv: column \"class\": 2 of 3 labels are missing, the first in line 3; `missing` drop-rows leaves their \
         rows out"
    );
}

#[test]
fn nothing_no_rows_and_no_features_are_told_apart() {
    for text in ["", "\n\n", "\u{feff}"] {
        assert!(
            message(read(text))
                .ends_with("expected a header row of column names and at least one row"),
            "{text:?}"
        );
    }
    assert_eq!(
        message(read("a,class\n")),
        "t.csv: no rows below the header, expected at least one"
    );
    assert!(message(read("class\nx\n")).contains("no feature columns"));
    assert_eq!(
        message(read_weighted("class,w\nx,1\n")),
        "t.csv: line 1: no feature columns, expected at least one besides \"class\", \"w\""
    );
}

#[test]
fn text_that_is_not_utf8_is_placed() {
    let read = |bytes: &[u8]| read_bytes(bytes, &TableOptions::default());
    let field = read(b"a,class\n1,x\n2,caf\xE9\n");
    assert_eq!(
        message(field),
        "t.csv: line 3, column \"class\": found \"caf\u{fffd}\", which is not UTF-8, \
         expected a CSV file in UTF-8"
    );
    let header = read(b"a,\xFF\n");
    assert!(message(header).contains("line 1, column \"2\": found"));
    assert_eq!(
        message(read(b"\xFF\xFEa\0,\0c\0")),
        "t.csv: is UTF-16, expected a CSV file in UTF-8"
    );
    assert!(message(read(b"a,class\n1,\0\n")).contains("line 2: found a zero byte"));
}

#[test]
fn weights_are_finite_not_negative_and_not_all_zero() {
    for weight in ["-1", "NaN", "inf", "", "heavy"] {
        assert_eq!(
            message(read_weighted(&format!("a,class,w\n1,x,0\n1,x,{weight}\n"))),
            format!(
                "t.csv: line 3, column \"w\": found \"{weight}\", expected a weight: a finite number ≥ 0"
            )
        );
    }
    assert!(message(read_weighted("a,class,w\n1,x,0\n")).contains("the weights sum to 0"));
    let endless = message(read_weighted("a,class,w\n1,x,1e308\n1,x,1e308\n"));
    assert!(endless.contains("the weights sum to inf"), "{endless}");
    assert!(read_weighted("a,class,w\n1,x,0\n1,x,1\n").is_ok());
}

#[test]
fn one_column_cannot_be_label_and_weight() {
    let roles = Roles {
        weight: Some("b"),
        ..Roles::label("b")
    };
    let table = Table::from_bytes("t.csv", b"a,b\n1,2\n", &roles, &TableOptions::default());
    assert!(message(table).contains("\"b\" is named as label column and as weight column"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let text = message(Table::read(
        "/no/such/file.csv",
        &Roles::label("class"),
        &TableOptions::default(),
    ));
    assert!(
        text.starts_with("/no/such/file.csv: cannot be read: "),
        "{text}"
    );
}

#[test]
fn a_file_is_read_from_disk() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/iris.csv");
    let table = Table::read(path, &Roles::label("class"), &TableOptions::default()).unwrap();
    assert_eq!((table.samples(), table.inputs), (150, 4));
}
