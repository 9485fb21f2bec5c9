//! Templates are read: one's own, those that members of the organization share, and those that come with the program.

use tidegate_database::Unit;
use tidegate_domain::Permission;
use tidegate_kernel::Actor;
use tidegate_kernel::fault::{Fault, Outcome, refuse};

use super::system;
use super::template::Template;
use crate::work::Person;
use crate::{PromptRefusal, PromptTables, Prompts};

/// Which templates are listed: all, where nothing is said.
#[derive(Clone, Debug, Default)]
pub struct TemplateFilter {
    /// The number of an organization; others than the caller's have none for them.
    pub organization: Option<i64>,
    /// Of that category.
    pub category: Option<String>,
    /// Whether those that come with the program.
    pub is_system: Option<bool>,
    /// Whether those that the organization sees.
    pub is_public: Option<bool>,
    /// With that in their name or description.
    pub search: Option<String>,
}

impl TemplateFilter {
    /// Whether one that comes with the program is wanted.
    fn wants(&self, template: &Template) -> bool {
        let search = self.search.as_deref().map(str::to_lowercase);
        let text = format!("{}\n{}", template.name, template.description.as_deref().unwrap_or_default());
        self.is_system != Some(false)
            && self.is_public != Some(false)
            && self.category.as_ref().is_none_or(|category| *category == template.category)
            && search.is_none_or(|search| text.to_lowercase().contains(&search))
    }
}

impl Prompts {
    /// The templates that the caller sees.
    ///
    /// Source: RiverGen "prompt-templates", list.
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_templates(
        &self,
        actor: &Actor,
        filter: &TemplateFilter,
    ) -> Result<Vec<Template>, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadPrompts).await?;
        let person = Person::of(grant);
        if let Some(wanted) = filter.organization
            && unit.prompt_templates().organization_number(person.organization).await? != wanted
        {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        if filter.is_system != Some(true) {
            found = unit.prompt_templates().seen(person, filter).await?;
        }
        let uses = unit.prompt_templates().uses(person.organization).await?;
        found.extend(system::all().into_iter().filter(|template| filter.wants(template)).map(|template| {
            let used = uses.iter().find(|(number, _)| *number == template.number);
            Template { usage_count: used.map_or(0, |(_, count)| *count), ..template }
        }));
        Ok(found)
    }

    /// A template that the caller sees.
    ///
    /// Source: RiverGen "prompt-templates/{template_id}".
    ///
    /// # Errors
    /// [`PromptRefusal::TemplateNotFound`].
    pub async fn read_template(&self, actor: &Actor, number: i64) -> Outcome<Template, PromptRefusal> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadPrompts).await?;
        template(&mut unit, Person::of(grant), number).await
    }
}

/// The one of that number that a person sees.
pub(super) async fn template(
    unit: &mut Unit,
    person: Person,
    number: i64,
) -> Outcome<Template, PromptRefusal> {
    if let Some(template) = system::of(number) {
        let uses = unit.prompt_templates().uses(person.organization).await?;
        let used = uses.iter().find(|(other, _)| *other == number);
        return Ok(Template { usage_count: used.map_or(0, |(_, count)| *count), ..template });
    }
    match unit.prompt_templates().one(person, number).await? {
        Some(template) => Ok(template),
        None => refuse(PromptRefusal::TemplateNotFound),
    }
}
