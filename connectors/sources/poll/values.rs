//! What the configuration says for the settings of a connector.

use std::collections::BTreeMap;

use tripline_config::Secret;

use super::spec::Json;
use super::template::{Template, Value, as_is};

/// The settings, with their secrets.
#[derive(Clone, Debug, Default)]
pub struct Values {
    /// What is no secret.
    pub texts: BTreeMap<String, String>,
    /// Secrets.
    pub secrets: BTreeMap<String, Secret>,
}

impl Values {
    /// A setting that is no secret.
    pub fn text(&self, name: &str) -> Option<Value> {
        self.texts.get(name).cloned().map(Value::Text)
    }

    /// Any setting; `{key.member}` is a member of a secret that is JSON.
    pub fn any(&self, name: &str) -> Option<Value> {
        if let Some((whole, member)) = name.split_once('.') {
            let json: serde_json::Value = serde_json::from_str(self.secrets.get(whole)?.reveal()).ok()?;
            return Some(Value::Text(json.get(member)?.as_str()?.to_string()));
        }
        self.text(name).or_else(|| Some(Value::Text(self.secrets.get(name)?.reveal().to_string())))
    }

    /// Fills a template of a sign-in.
    ///
    /// # Errors
    /// Which name has no value.
    pub fn fill(&self, template: &Template) -> Result<String, String> {
        template.fill(&|name| self.any(name), as_is).ok_or_else(|| {
            let names: Vec<&str> = template.names().collect();
            format!("`{}` has no such value: is the file of the key whole?", names.join("`, `"))
        })
    }
}

/// A body. A member with a name that has no value is left out.
pub fn filled(json: &Json, value: &dyn Fn(&str) -> Option<Value>) -> Option<serde_json::Value> {
    Some(match json {
        Json::Text(text) => serde_json::Value::String(text.fill(value, as_is)?),
        Json::Array(items) => items.iter().filter_map(|item| filled(item, value)).collect(),
        Json::Object(members) => {
            let members = members.iter().filter_map(|(key, one)| Some((key.clone(), filled(one, value)?)));
            serde_json::Value::Object(members.collect())
        }
        Json::Plain(other) => other.clone(),
    })
}
