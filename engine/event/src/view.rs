//! One source, several shapes: where the fields of an event stand when the same log arrives flattened,
//! nested or wrapped by a shipper.

use std::collections::HashMap;

use crate::{Path, Segment};

/// Where the fields of a source's events stand. Without shapes every field stands where it is named.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// Around a field: the steps before it and after it, tried in order.
    pub shapes: Vec<(Vec<Segment>, Vec<Segment>)>,
    /// Fields that stand elsewhere, by their first key.
    pub fields: HashMap<Box<str>, Vec<Path>>,
}

impl View {
    /// A place as written in taxonomies: keys joined by dots, `*` for any key.
    pub fn steps(text: &str) -> Vec<Segment> {
        text.split('.')
            .filter(|step| !step.is_empty())
            .map(|step| if step == "*" { Segment::AnyKey } else { Segment::Key(step.into()) })
            .collect()
    }

    /// Adds a shape, in which `{}` stands for the field: `Event.EventData.{}`. One that is there is not added.
    pub fn shape(&mut self, text: &str) {
        let (before, after) = text.split_once("{}").unwrap_or((text, ""));
        let shape = (View::steps(before), View::steps(after));
        if !self.shapes.contains(&shape) {
            self.shapes.push(shape);
        }
    }

    /// Adds a place of a field. One that is there is not added.
    pub fn field(&mut self, name: &str, place: &str) {
        let places = self.fields.entry(name.into()).or_default();
        let place = Path(View::steps(place));
        if !places.contains(&place) {
            places.push(place);
        }
    }

    /// The places of a field, in the order in which they are tried. Where `dotted` is set, a name with dots is
    /// also looked for as one key.
    pub fn places(&self, path: &Path, dotted: bool) -> Vec<Path> {
        let Some((Segment::Key(first), rest)) = path.0.split_first() else { return vec![path.clone()] };
        if let Some(places) = self.fields.get(first) {
            return places.iter().map(|place| Path([place.0.as_slice(), rest].concat())).collect();
        }
        let mut spellings = vec![path.0.clone()];
        if let Some(key) = joined(&path.0).filter(|_| dotted) {
            spellings.push(vec![Segment::Key(key.as_str().into())]);
            if let Some(places) = self.fields.get(key.as_str()) {
                return places.clone();
            }
        }
        if self.shapes.is_empty() {
            return spellings.into_iter().map(Path).collect();
        }
        let around = |(before, after): &(Vec<Segment>, Vec<Segment>), steps: &Vec<Segment>| {
            Path([before.as_slice(), steps, after].concat())
        };
        self.shapes.iter().flat_map(|shape| spellings.iter().map(move |steps| around(shape, steps))).collect()
    }
}

/// Several keys as one, joined by dots.
fn joined(steps: &[Segment]) -> Option<String> {
    if steps.len() < 2 {
        return None;
    }
    let keys: Option<Vec<&str>> = steps
        .iter()
        .map(|step| match step {
            Segment::Key(key) => Some(&**key),
            _ => None,
        })
        .collect();
    Some(keys?.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(view: &View, keys: &[&str]) -> Vec<String> {
        view.places(&Path::keys(keys.iter().copied()), true).iter().map(Path::to_string).collect()
    }

    #[test]
    fn a_field_stands_in_every_shape_and_where_it_is_said_to_stand() {
        let mut view = View::default();
        view.shape("{}");
        view.shape("Event.UserData.*.{}");
        view.field("EventID", "Event.System.EventID");
        assert_eq!(shown(&view, &["Image"]), ["Image", "Event.UserData.*.Image"]);
        assert_eq!(shown(&view, &["EventID"]), ["Event.System.EventID"]);
    }

    #[test]
    fn a_dotted_name_is_a_path_or_one_key() {
        assert_eq!(shown(&View::default(), &["a", "b"]), ["a.b", "\"a.b\""]);
    }
}
