//! Templates that come with the program. They are SQL of any table, so they need no planner and no model.

use tidegate_domain::Timestamp;

use super::parameter::{ParameterType, TemplateParameter};
use super::template::{Template, TemplateStatus};

/// Their numbers begin after this one: no row gets so far, and JSON keeps them exact.
const BASE: i64 = 9_000_000_000_000_000;
/// When they were written: 2026-01-01.
const WRITTEN: Timestamp = Timestamp::from_seconds(1_767_225_600);

struct Written {
    name: &'static str,
    description: &'static str,
    text: &'static str,
    category: &'static str,
    parameters: &'static [(&'static str, ParameterType, &'static str)],
}

const TABLE: (&str, ParameterType, &str) = ("table", ParameterType::Table, "The table");
const COLUMN: (&str, ParameterType, &str) = ("column", ParameterType::Column, "A column of the table");

/// In the order of their numbers. Only ever appended to.
const ALL: [Written; 6] = [
    Written {
        name: "Row count",
        description: "How many rows a table has",
        text: "select count(*) as row_count from {{table}}",
        category: "Data quality",
        parameters: &[TABLE],
    },
    Written {
        name: "Freshness",
        description: "The earliest and the latest value of a date or time column",
        text: "select min({{column}}) as earliest, max({{column}}) as latest from {{table}}",
        category: "Data quality",
        parameters: &[TABLE, COLUMN],
    },
    Written {
        name: "Null rate",
        description: "How many rows have no value in a column",
        text: "select count(*) as row_count, count(*) - count({{column}}) as null_count, \
               round(100.0 * (count(*) - count({{column}})) / nullif(count(*), 0), 2) as null_percent from {{table}}",
        category: "Data quality",
        parameters: &[TABLE, COLUMN],
    },
    Written {
        name: "Duplicates",
        description: "Values of a column that several rows have, the most frequent first",
        text: "select {{column}}, count(*) as occurrences from {{table}} where {{column}} is not null \
               group by {{column}} having count(*) > 1 order by occurrences desc limit 100",
        category: "Data quality",
        parameters: &[TABLE, COLUMN],
    },
    Written {
        name: "Distribution",
        description: "The values of a column and how many rows have each, the most frequent first",
        text: "select {{column}}, count(*) as row_count from {{table}} group by {{column}} \
               order by row_count desc limit 100",
        category: "Exploration",
        parameters: &[TABLE, COLUMN],
    },
    Written {
        name: "Sample",
        description: "Some rows of a table",
        text: "select * from {{table}} limit 20",
        category: "Exploration",
        parameters: &[TABLE],
    },
];

fn template(place: usize, written: &Written) -> Template {
    let parameter = |(name, kind, description): &(&str, ParameterType, &str)| TemplateParameter {
        name: (*name).to_owned(),
        kind: *kind,
        required: true,
        default: None,
        description: Some((*description).to_owned()),
    };
    Template {
        number: BASE.saturating_add(i64::try_from(place).unwrap_or(0)).saturating_add(1),
        organization_number: None,
        name: written.name.to_owned(),
        description: Some(written.description.to_owned()),
        text: written.text.to_owned(),
        parameters: written.parameters.iter().map(parameter).collect(),
        category: written.category.to_owned(),
        tags: Vec::new(),
        icon_url: None,
        status: TemplateStatus::Published,
        sources: Vec::new(),
        is_system: true,
        is_public: true,
        usage_count: 0,
        created_by: None,
        created_at: WRITTEN,
        updated_at: WRITTEN,
        is_own: false,
    }
}

/// All of them.
pub(super) fn all() -> Vec<Template> {
    ALL.iter().enumerate().map(|(place, written)| template(place, written)).collect()
}

/// The one of that number.
pub(super) fn of(number: i64) -> Option<Template> {
    all().into_iter().find(|template| template.number == number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::templates::render::placeholders;

    #[test]
    fn each_has_a_parameter_for_every_placeholder_and_the_other_way_round() {
        for template in all() {
            let used = placeholders(&template.text).unwrap();
            for parameter in &template.parameters {
                assert!(used.contains(&parameter.name), "{}: {}", template.name, parameter.name);
            }
            for name in used {
                assert!(template.parameters.iter().any(|one| one.name == name), "{}: {name}", template.name);
            }
            assert!(template.number < 1 << 53);
        }
        assert_eq!(of(BASE + 1).unwrap().name, "Row count");
        assert!(of(1).is_none());
    }
}
