//! Templates: those that come with the program and those in the home's `templates/`, and what is made with them.
//!
//! A template is words of somebody who may mean harm: it is filled in or set with what it is handed and nothing else, on a thread that is given up
//! when it takes too long.

mod checking;
mod export;
mod files;
mod giving_up;
mod leftovers;
mod making;
mod place;
mod shelf;

use std::{path::Path, sync::Arc};

use keepsake_formats::template::{Kind, Per, Problem, Set, Setter, built_in};
use serde::Serialize;

pub use self::export::{TemplateExport, TemplateFile, TemplatePlan, TemplateReport};
use crate::{Custody, CustodyError, CustodyResult, Filter};

/// A template in a list.
#[derive(Debug, Clone, Serialize)]
pub struct TemplateSummary {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it is written in; `None`: it is none as it stands.
    pub kind: Option<Kind>,
    /// What one file of it is made of.
    pub per: Option<Per>,
    /// Whether it comes with the program.
    pub built_in: bool,
    /// What is wrong with it, if that can be seen without trying it.
    pub problems: Vec<Problem>,
}

/// A template with its files.
#[derive(Debug, Clone, Serialize)]
pub struct TemplateView {
    /// What it says of itself.
    #[serde(flatten)]
    pub summary: TemplateSummary,
    /// Which memories it takes, unless somebody says otherwise.
    pub filter: Option<String>,
    /// Where it is, if it does not come with the program.
    pub folder: Option<String>,
    /// Its files: paths and texts; `None`: no text.
    pub files: Vec<(String, Option<String>)>,
    /// A made-up example of the data that it gets.
    pub data: serde_json::Value,
}

/// What trying a template found.
#[derive(Debug, Clone, Serialize)]
pub struct TemplateCheck {
    /// The template.
    pub name: String,
    /// What is wrong; nothing, if it is fit to be used.
    pub problems: Vec<Problem>,
    /// What whoever got it from others should know: where its pages run programs or lead elsewhere.
    pub warnings: Vec<Problem>,
    /// What was tried.
    pub tried: Vec<String>,
}

impl Custody {
    /// All templates: those that come with the program, then the home's own.
    ///
    /// # Errors
    /// The home's folder cannot be read.
    pub async fn templates(&self) -> CustodyResult<Vec<TemplateSummary>> {
        let result = shelf::list(&self.home);
        self.audited(None, "template.list", "", result).await
    }

    /// One template, with its files and an example of what it gets.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn template(&self, name: &str) -> CustodyResult<TemplateView> {
        let result = shelf::view(&self.home, name);
        self.audited(None, "template.show", name, result).await
    }

    /// Makes a template of another one, to be changed; answers its folder.
    ///
    /// # Errors
    /// The name is taken or no name, or there is nothing to make it from.
    pub async fn new_template(&self, name: &str, from: &str) -> CustodyResult<String> {
        let result = shelf::create(&self.home, name, from).map(|folder| folder.display().to_string());
        self.audited(None, "template.new", name, result).await
    }

    /// Tries a template on made-up memories: many, those that say nothing, and none.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn check_template(&self, name: &str, setter: Arc<dyn Setter>) -> CustodyResult<TemplateCheck> {
        let (home, owned) = (self.home.clone(), name.to_owned());
        let result = crate::copies::blocking(move || checking::check(&home, &owned, &setter)).await;
        self.audited(None, "template.check", name, result).await
    }

    /// Removes one of the home's own templates.
    ///
    /// # Errors
    /// There is none of this name, or it comes with the program.
    pub async fn delete_template(&self, name: &str) -> CustodyResult<()> {
        let result = shelf::remove(&self.home, name);
        self.audited(None, "template.delete", name, result).await
    }
}

/// A template that can be used, and the filter that it names.
fn ready(home: &Path, name: &str) -> CustodyResult<(Set, Option<Filter>)> {
    let set = shelf::load(home, name)?.map_err(|problems| unfit(name, &problems))?;
    let filter = set.manifest.filter.as_deref().map(str::parse::<Filter>).transpose();
    let filter = filter.map_err(|error| unfit(name, &[Problem::of("template.toml", format!("`filter`: {error}"))]))?;
    Ok((set, filter))
}

/// A template that cannot be used, as an error.
fn unfit(name: &str, problems: &[Problem]) -> CustodyError {
    let told: Vec<String> = problems.iter().take(3).map(ToString::to_string).collect();
    // It quotes the template, and goes to terminals.
    let told = told.join("; ").replace(char::is_control, " ");
    let advice = if built_in::find(name).is_some() {
        String::new()
    } else {
        format!("; `keepsake template check {name}` tells everything that is wrong")
    };
    CustodyError::Usage(format!("template {name}: {told}{advice}"))
}
