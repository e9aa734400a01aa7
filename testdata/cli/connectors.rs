//! Connectors from the command line: what is said of files that are no connectors, and of tests that cannot pass.

use super::{err, out, tripline, write};

/// The connector of docs/CONNECTORS.md, and its tests.
fn example() -> [String; 2] {
    let page = std::fs::read_to_string(super::root().join("docs/CONNECTORS.md")).unwrap();
    let mut blocks = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_string());
    [blocks.next().unwrap(), blocks.next().unwrap()]
}

#[test]
fn a_connector_that_is_not_there_is_told_with_what_there_is() {
    for command in ["check", "test"] {
        let output = tripline(&["connectors", command, "absent.toml"]);
        assert_eq!(output.status.code(), Some(2));
        let said = err(&output);
        assert!(said.contains("`absent.toml` cannot be read: there is no such file; name the file"), "{said}");
        assert!(said.contains("`tripline connectors list` shows"), "{said}");
    }
    let said = err(&tripline(&["connectors", "check", "okta"]));
    assert!(said.contains("`tripline connectors test okta` tests the connector that the program has"), "{said}");
    let dir = tempfile::tempdir().unwrap();
    let alone = write(&dir, "alone.toml", &example()[0].replace("\"example\"", "\"alone\"")).display().to_string();
    let said = err(&tripline(&["connectors", "test", &alone]));
    assert!(said.contains("alone.test.toml`; docs/CONNECTORS.md says what stands in it"), "{said}");
}

#[test]
fn the_configuration_of_a_service_is_told_from_a_connector_in_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let service = "[store]\npath = \"a.db\"\n[[source]]\nname = \"a\"\nkind = \"file\"\npath = \"a.jsonl\"\n";
    let path = write(&dir, "tripline.toml", service).display().to_string();
    for command in ["check", "show", "test"] {
        let output = tripline(&["connectors", command, &path]);
        assert_eq!((output.status.code(), err(&output).lines().count()), (Some(2), 1), "{}", err(&output));
        assert!(err(&output).contains("is the configuration of a service, and no connector"), "{}", err(&output));
        assert!(err(&output).contains(&format!("`tripline check {path}`")), "{}", err(&output));
    }
    let tests = write(&dir, "mine.test.toml", &example()[1]).display().to_string();
    let said = err(&tripline(&["connectors", "check", &tests]));
    assert!(said.contains("has the tests of a connector"), "{said}");
}

#[test]
fn a_test_whose_records_lack_the_id_says_where_it_was_looked_for_and_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let [connector, tests] = example();
    let path = write(&dir, "example.toml", &connector).display().to_string();
    write(&dir, "example.test.toml", &tests);
    let output = tripline(&["connectors", "test", &path]);
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    write(&dir, "example.toml", &connector.replace("id = \"id\"", "id = [\"meta.uuid\", \"at\"]"));
    let output = tripline(&["connectors", "test", &path]);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let why = "set aside: the record has no id: nothing stands at `meta.uuid`, which `id` of the stream names; its keys \
               are `at`, `id`";
    assert_eq!(out(&output).matches(why).count(), 1, "{}", out(&output));
}
