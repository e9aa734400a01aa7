//! What is said of a source's table, and of a connector's file.

use tripline_base::SourceMap;

use crate::poll::{KIND, spec};

fn said_of(text: &str) -> Vec<String> {
    let mut sources = SourceMap::new();
    let (_, said) = tripline_config::read(&mut sources, "tripline.toml", text, |root, said| (KIND.read)(root, said));
    said.into_iter().map(|one| format!("{}; {}", one.message, one.help.join("; "))).collect()
}

fn says(text: &str, words: &str) {
    let said = said_of(text);
    assert!(said.iter().any(|one| one.contains(words)), "{text}: {said:?}");
}

#[test]
fn a_whole_table_is_fine() {
    let okta = "connector = \"okta\"\ndomain = \"example.okta.com\"\n";
    let none: [String; 0] = [];
    assert_eq!(said_of(&format!("{okta}token = {{ env = \"OKTA\" }}")), none);
    assert_eq!(said_of(&format!("{okta}client_id = \"a\"\nprivate_key = {{ file = \"key.pem\" }}")), none);
}

#[test]
fn what_is_wrong_is_said_in_the_words_of_the_connector() {
    let okta = "connector = \"okta\"\ndomain = \"example.okta.com\"\ntoken = { env = \"OKTA\" }\n";
    says("connector = \"okto\"", "there is no connector `okto`; did you mean");
    says("", "has no `connector`");
    assert_eq!(said_of("connector = \"okto\"\ndomain = \"a.example\"").len(), 1, "nothing is known of the other keys");
    says("connector = \"okta\"\ndomain = \"example.okta.com\"", "nothing to sign in to Okta System Log with");
    says("connector = \"okta\"\ntoken = { env = \"OKTA\" }", "add `domain = \"example.okta.com\"`");
    says("connector = \"okta\"\ndomain = \"https://example.okta.com/\"", "`domain` takes the name of a host alone");
    says(&okta.replace("{ env = \"OKTA\" }", "\"00secret\""), "`token` is a secret");
    says(&format!("{okta}streams = \"sytem_log\""), "has no stream `sytem_log`; did you mean");
    says(&format!("{okta}url = \"http://example.com\""), "an address beyond this machine begins with `https://`");
    says(&format!("{okta}source = \"okta.system_log\""), "has no `source`");
    says(&format!("{okta}ever = \"5m\""), "has no key `ever`");
    let keys = "source, connector, url, token_url, client_id, domain, key_id, private_key, token, streams, every, from, ca, \
                timeout, max_body";
    says(&format!("{okta}evry = \"5m\""), &format!("did you mean `every`?; its keys are {keys}"));
    says("connector = \"./absent.toml\"", "absent.toml` cannot be read");
    says(
        "connector = \"github\"\norganization = \"o\"\ninclude = \"al\"\ntoken = { env = \"T\" }",
        "one of web, git, all",
    );
}

const WHOLE: &str = "name = \"a\"\ntitle = \"A\"\ndocs = \"https://a.example\"\nurl = \"https://a.example\"\n\
    [settings.token]\nkind = \"secret\"\nhelp = \"a token\"\n[[auth]]\nkind = \"token\"\n[[stream]]\nname = \"all\"\n\
    source = \"a.all\"\npath = \"/events\"\n";

fn connector_says(from: &str, to: &str, words: &str) {
    let text = WHOLE.replace(from, to);
    assert_ne!(text, WHOLE);
    let (found, said) = spec::parse(&mut SourceMap::new(), "a.toml", &text);
    let said: Vec<String> = said.into_iter().map(|one| format!("{}; {}", one.message, one.help.join("; "))).collect();
    assert!(found.is_none() && said.iter().any(|one| one.contains(words)), "{to}: {said:?}");
}

#[test]
fn a_connector_that_cannot_work_is_an_error() {
    let (found, said) = spec::parse(&mut SourceMap::new(), "a.toml", WHOLE);
    assert!(found.is_some() && said.is_empty(), "{said:?}");
    connector_says("path = \"/events\"", "path = \"/events?t={token}\"", "secrets are used under `[[auth]]` alone");
    connector_says("path = \"/events\"", "path = \"/{org}\"", "there is no setting `org`");
    connector_says("path = \"/events\"", "path = \"/{org\"", "a `{` has no `}` behind it");
    connector_says("path = \"/events\"", "", "has no `path`");
    connector_says("name = \"all\"", "name = \"All\"", "lower case");
    connector_says("kind = \"token\"", "kind = \"tokens\"", "did you mean");
    connector_says("name = \"all\"", "name = \"all\"\nlike = \"other\"", "there is no stream `other` above");
    connector_says("name = \"all\"", "name = \"all\"\ncheckpoint = \"cursor\"", "needs a `page` that gives one");
    connector_says("name = \"all\"", "name = \"all\"\npage = { link = true, cursor = \"a\" }", "link and cursor");
    connector_says("name = \"all\"", "name = \"all\"\nitems = \"a..b\"", "a key is missing");
    connector_says("name = \"all\"", "name = \"all\"\nevry = \"1m\"", "has no key `evry`");
    connector_says("[settings.token]", "[settings.url]", "none of the keys that every source has");
    connector_says("[[auth]]\nkind = \"token\"\n", "", "there is no `[[auth]]`");
}
