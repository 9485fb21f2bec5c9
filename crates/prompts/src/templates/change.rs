//! Templates are made, changed and deleted.

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::quota::Quota;
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::fault::{Outcome, Refused, refuse};
use tidegate_kernel::{Actor, Call};

use super::find::template;
use super::parameter::TemplateParameter;
use super::render::check;
use super::template::{NewTemplate, Template, TemplateStatus};
use crate::work::Acting;
use crate::{PromptRefusal, PromptTables, Prompts};

/// What is changed of a template: what is none stays.
#[derive(Clone, Debug, Default)]
pub struct TemplateChange {
    /// For people.
    pub name: Option<String>,
    /// For people; an inner none removes it.
    pub description: Option<Option<String>>,
    /// A question, or SQL, with placeholders.
    pub text: Option<String>,
    /// Its parameters.
    pub parameters: Option<Vec<TemplateParameter>>,
    /// For people.
    pub category: Option<String>,
    /// The client's own.
    pub tags: Option<Vec<String>>,
    /// A path or a URL; an inner none removes it.
    pub icon_url: Option<Option<String>>,
    /// Whether it is ready.
    pub status: Option<TemplateStatus>,
    /// Numbers of data sources that it is for.
    pub sources: Option<Vec<i64>>,
    /// Whether the whole organization sees it.
    pub is_public: Option<bool>,
}

impl TemplateChange {
    fn applied_to(self, template: Template) -> NewTemplate {
        NewTemplate {
            name: self.name.unwrap_or(template.name),
            description: self.description.unwrap_or(template.description),
            text: self.text.unwrap_or(template.text),
            parameters: self.parameters.unwrap_or(template.parameters),
            category: self.category.unwrap_or(template.category),
            tags: self.tags.unwrap_or(template.tags),
            icon_url: self.icon_url.unwrap_or(template.icon_url),
            status: self.status.unwrap_or(template.status),
            sources: self.sources.unwrap_or(template.sources),
            is_public: self.is_public.unwrap_or(template.is_public),
        }
    }
}

impl Prompts {
    /// Makes a template of the caller's.
    ///
    /// Source: RiverGen "prompt-templates", create.
    ///
    /// # Errors
    /// [`PromptRefusal::Template`], [`PromptRefusal::SourceNotFound`].
    pub async fn create_template(
        &self,
        call: &Call,
        actor: &Actor,
        new: NewTemplate,
    ) -> Outcome<Template, PromptRefusal> {
        let mut work = self.begin_as(call, actor, Permission::ManagePrompts).await?;
        check(&new.text, &new.parameters).map_err(Refused::Rule)?;
        work.require_sources(&new.sources).await?;
        let (person, now, account) = (work.person(), work.now, work.grant.session().account_number);
        let number = work.unit.prompt_templates().insert(person, account, &new, now).await?;
        let count = work.unit.prompt_templates().count(person.organization).await?;
        self.kernel.settings.quotas.judge(Quota::PromptTemplates, count)?;
        let subject = work.grant.subject();
        work.audit(Action::PromptTemplateCreated, subject, json!({ "template": number })).await?;
        let made = template(&mut work.unit, person, number).await?;
        work.commit().await?;
        Ok(made)
    }

    /// Changes a template of the caller's.
    ///
    /// Source: extension "prompt-templates/{template_id}", update.
    ///
    /// # Errors
    /// [`PromptRefusal::TemplateNotFound`], [`PromptRefusal::SystemTemplate`], and those of [`Prompts::create_template`].
    pub async fn change_template(
        &self,
        call: &Call,
        actor: &Actor,
        number: i64,
        change: TemplateChange,
    ) -> Outcome<Template, PromptRefusal> {
        let mut work = self.begin_as(call, actor, Permission::ManagePrompts).await?;
        let (person, now) = (work.person(), work.now);
        let before = work.template_to_change(number).await?;
        let known = before.sources.clone();
        let after = change.applied_to(before);
        check(&after.text, &after.parameters).map_err(Refused::Rule)?;
        // Those that it had may be gone by now.
        let added: Vec<i64> = after.sources.iter().copied().filter(|one| !known.contains(one)).collect();
        work.require_sources(&added).await?;
        work.unit.prompt_templates().change(number, &after, now).await?;
        let subject = work.grant.subject();
        work.audit(Action::PromptTemplateUpdated, subject, json!({ "template": number })).await?;
        let changed = template(&mut work.unit, person, number).await?;
        work.commit().await?;
        Ok(changed)
    }

    /// Deletes a template of the caller's; answers when.
    ///
    /// Source: extension "prompt-templates/{template_id}", delete.
    ///
    /// # Errors
    /// [`PromptRefusal::TemplateNotFound`], [`PromptRefusal::SystemTemplate`].
    pub async fn delete_template(
        &self,
        call: &Call,
        actor: &Actor,
        number: i64,
    ) -> Outcome<Timestamp, PromptRefusal> {
        let mut work = self.begin_as(call, actor, Permission::ManagePrompts).await?;
        let now = work.now;
        work.template_to_change(number).await?;
        let purge_at = now.plus(self.settings.keep_deleted);
        work.unit.prompt_templates().delete(number, now, purge_at).await?;
        let subject = work.grant.subject();
        work.audit(Action::PromptTemplateDeleted, subject, json!({ "template": number })).await?;
        work.commit().await?;
        Ok(now)
    }
}

impl Acting<'_> {
    /// A template that the caller may change: their own, and for administrators those that the organization sees.
    async fn template_to_change(&mut self, number: i64) -> Outcome<Template, PromptRefusal> {
        let person = self.person();
        let found = template(&mut self.unit, person, number).await?;
        if found.is_system {
            return refuse(PromptRefusal::SystemTemplate);
        }
        if !found.is_own {
            self.grant.require(Permission::AdministerPrompts)?;
        }
        Ok(found)
    }
}
