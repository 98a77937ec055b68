//! Each route, asked by everybody: what was found that ought not to be.

use rowhouse::members::Role;

use super::Probe;
use super::lists::{PEOPLE, is_exempt};
use super::stage::{Stage, accepting, fill, fresh_address, fresh_request, missing_like, request};
use crate::callers::{Call, column, execute, missing, number, operator, text, uuid};
use crate::document::{Operation, operations};
use crate::world::Answer;

impl Stage {
    pub(super) fn walk(mut self) -> Vec<(Probe, String)> {
        // What suspends or deletes the tenant comes last, in this order.
        let mut operations = operations();
        let last = |operation: &Operation| match operation.path.rsplit('/').next() {
            Some("suspend") => 1,
            Some("resume") => 2,
            _ if operation.method == "delete" && operation.path.ends_with("{tenant}") => 3,
            _ => 0,
        };
        operations.sort_by_key(last);
        for operation in &operations {
            let mut subject = self.subject(operation);
            self.people(operation, &mut subject);
            let before = self.home.footprint();
            self.refusals(operation, &subject);
            self.surplus(operation, &subject);
            if self.home.footprint() != before {
                let after = self.home.footprint();
                self.found(
                    Probe::Reader,
                    operation,
                    &format!("a refusal left something: {before:?} {after:?}"),
                );
            }
            self.whoever_may(operation, &subject);
        }
        self.findings
    }

    fn found(&mut self, probe: Probe, operation: &Operation, what: &str) {
        let (method, path) = (operation.method, operation.path);
        self.findings
            .push((probe, format!("{method} {path}: {what}")));
    }

    fn expect(
        &mut self,
        probe: Probe,
        operation: &Operation,
        answer: &Answer,
        expected: (u16, &str),
    ) {
        if (answer.status, answer.code().as_str()) != expected {
            self.found(
                probe,
                operation,
                &format!("not {expected:?} but {answer:?}"),
            );
        }
        let documented = operation.differs(answer.status, &answer.body);
        if let Some(differs) = documented {
            self.found(Probe::Documented, operation, &differs);
        }
        for (header, must) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "deny"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "frame-ancestors 'none'"),
            ("cache-control", "no-store"),
            ("x-request-id", ""),
        ] {
            let said = answer.header(header).unwrap_or_default();
            if said.is_empty() || !said.contains(must) {
                let what = format!("{header} is {said:?}: {answer:?}");
                self.found(Probe::Dressed, operation, &what);
            }
        }
    }

    /// A member and a viewer. Who is served a change may have taken the subject away, so that it takes a new one.
    fn people(&mut self, operation: &Operation, subject: &mut Vec<(&'static str, String)>) {
        if operation.is_open() {
            return;
        }
        let route = (operation.method, operation.path);
        let Some(people) = PEOPLE.iter().find(|people| people.routes.contains(&route)) else {
            self.found(
                Probe::Person,
                operation,
                "nobody has said what people may do there",
            );
            return;
        };
        for (session, code) in [
            (self.session.clone(), people.member),
            (self.viewer.clone(), people.viewer),
        ] {
            let path = fill(operation.path, subject);
            let answer = request(operation, &path, subject).by(&session).send();
            if operation.changes() && answer.status < 300 {
                *subject = self.subject(operation);
            }
            let status = match code {
                "" => operation.success(),
                "not-found" => 404,
                _ => 403,
            };
            self.expect(Probe::Person, operation, &answer, (status, code));
        }
    }

    fn refusals(&mut self, operation: &Operation, subject: &[(&'static str, String)]) {
        if operation.is_open() {
            if !is_exempt(operation, Probe::Nobody) {
                self.found(Probe::Nobody, operation, "is open, and nobody has said why");
            }
            return;
        }
        let (prefix, here) = (fresh_request(), fill(operation.path, subject));
        let ask = |path: &str| request(operation, path, subject).header("x-request-id", &prefix);
        let unknown = format!("op_{}", "0".repeat(32));
        for credential in [None, Some(unknown.as_str()), Some("tk_"), Some("")] {
            let asked = credential.map_or_else(|| ask(&here), |bearer| ask(&here).by(bearer));
            self.expect(
                Probe::Nobody,
                operation,
                &asked.send(),
                (401, "unauthorized"),
            );
        }
        if !operation.takes("operator") {
            let answer = ask(&here).by(operator()).send();
            self.expect(
                Probe::Operator,
                operation,
                &answer,
                (403, "support-access-required"),
            );
        }
        if operation.takes("caller") {
            if operation.changes() {
                let (reader, refused) = (self.reader.clone(), format!("{prefix}-reader"));
                let asked = request(operation, &here, subject).header("x-request-id", &refused);
                let answer = asked.by(&reader).send();
                if answer.status != 403
                    || !["read-only", "not-permitted"].contains(&answer.code().as_str())
                {
                    self.found(Probe::Reader, operation, &format!("{answer:?}"));
                }
                let told = refusals_of(&refused);
                if told != [format!("{} {}", uuid(&self.home.id), answer.code())] {
                    self.found(
                        Probe::Trail,
                        operation,
                        &format!("the refusal left {told:?}"),
                    );
                }
            }
        } else {
            for key in [self.key.clone(), self.stranger.clone()] {
                let answer = ask(&here).by(&key).send();
                self.expect(Probe::Key, operation, &answer, (403, "not-permitted"));
            }
        }
        self.strangers(operation, subject, &ask);
        self.failures(operation, &here, &ask);
        if rows_of(&prefix) != (Vec::new(), 0) {
            self.found(
                Probe::Trail,
                operation,
                &format!("a refused request left {:?}", rows_of(&prefix)),
            );
        }
    }

    /// The other tenant's key on what belongs to `home`, and on what does not exist: nobody can tell which is which.
    fn strangers(
        &mut self,
        operation: &Operation,
        subject: &[(&'static str, String)],
        ask: &dyn Fn(&str) -> Call,
    ) {
        if !operation.parameters().any(|name| name == "tenant") {
            if !is_exempt(operation, Probe::Stranger) {
                self.found(
                    Probe::Stranger,
                    operation,
                    "names no tenant, and nobody has said why",
                );
            }
            return;
        }
        let refusal = if operation.takes("caller") {
            (404, "not-found")
        } else {
            (403, "not-permitted")
        };
        let at = |tenant: &str, inner: &dyn Fn(&str, &str) -> String| {
            let parameters: Vec<(&str, String)> = subject
                .iter()
                .map(|(name, value)| match *name {
                    "tenant" => (*name, tenant.to_owned()),
                    name => (name, inner(name, value)),
                })
                .collect();
            fill(operation.path, &parameters)
        };
        let theirs = |_: &str, value: &str| value.to_owned();
        let nothing = |_: &str, value: &str| missing_like(value);
        let mut pairs = vec![
            (at(&self.home.slug, &theirs), at("no-such-tenant", &theirs)),
            (at(&self.home.id, &theirs), at(&missing("ten"), &theirs)),
        ];
        if operation.takes("caller") && operation.parameters().count() > 1 {
            let own = &self.other.slug;
            pairs.push((at(own, &theirs), at(own, &nothing)));
        }
        let stranger = self.stranger.clone();
        for (foreign, missing) in pairs {
            let foreign = ask(&foreign).by(&stranger).send();
            let missing = ask(&missing).by(&stranger).send();
            self.expect(Probe::Stranger, operation, &foreign, refusal);
            if foreign.bytes() != missing.bytes() {
                self.found(
                    Probe::Stranger,
                    operation,
                    &format!("{foreign:?} is not {missing:?}"),
                );
            }
        }
        // The same of an operator, who came for one tenant and names what is another's.
        if operation.takes("operator") && operation.parameters().count() > 1 {
            let foreign = ask(&at(&self.other.slug, &theirs)).by(operator()).send();
            let missing = ask(&at(&self.other.slug, &nothing)).by(operator()).send();
            self.expect(Probe::Stranger, operation, &foreign, (404, "not-found"));
            if foreign.bytes() != missing.bytes() {
                self.found(
                    Probe::Stranger,
                    operation,
                    &format!("{foreign:?} is not {missing:?}"),
                );
            }
        }
    }

    /// Whoever may, with something that cannot be done.
    fn failures(&mut self, operation: &Operation, here: &str, ask: &dyn Fn(&str) -> Call) {
        if !operation.changes() || !operation.takes_body() {
            return;
        }
        let answer = ask(here)
            .body(r#"{"nonsense": 1}"#)
            .by(&self.may(operation))
            .send();
        self.expect(Probe::Served, operation, &answer, (400, "invalid"));
    }

    /// Whoever may, with a parameter that there is not, and with the tag of a state that there is not.
    fn surplus(&mut self, operation: &Operation, subject: &[(&'static str, String)]) {
        let here = fill(operation.path, subject);
        let ask = |path: &str| {
            let asked = request(operation, path, subject);
            if operation.is_open() {
                asked
            } else {
                asked.by(&self.may(operation))
            }
        };
        let with_parameter = ask(&format!("{here}?surplus=1")).send();
        let with_tag = ask(&here).header("if-match", "\"1\"");
        let with_tag = operation.writes().then(|| with_tag.send());
        if !is_exempt(operation, Probe::Surplus) {
            self.refused_for("surplus", operation, &with_parameter);
        }
        match with_tag {
            Some(answer) if operation.headers().contains(&"If-Match") => {
                self.expect(Probe::Surplus, operation, &answer, (412, "changed"));
            }
            Some(answer) => self.refused_for("If-Match", operation, &answer),
            None => {}
        }
    }

    fn refused_for(&mut self, field: &str, operation: &Operation, answer: &Answer) {
        self.expect(Probe::Surplus, operation, answer, (400, "invalid"));
        if !answer.body.contains(&format!("\"field\":\"{field}\"")) {
            self.found(Probe::Surplus, operation, &format!("{field}: {answer:?}"));
        }
    }

    /// The credential of whoever may: an operator where one may, else the tenant's key.
    fn may(&self, operation: &Operation) -> String {
        if operation.takes("operator") {
            operator().to_owned()
        } else if operation.takes("session") {
            self.session.clone()
        } else {
            self.key.clone()
        }
    }

    fn whoever_may(&mut self, operation: &Operation, subject: &[(&'static str, String)]) {
        let request_id = fresh_request();
        let here = fill(operation.path, subject);
        let mut asked = request(operation, &here, subject).header("x-request-id", &request_id);
        if !operation.is_open() {
            asked = asked.by(&self.may(operation));
        }
        let mut came_by = None;
        if operation.path.ends_with("/invitations/accept") {
            let (id, token) = self.home.invited(&fresh_address(), Role::Member);
            asked = accepting(operation, &token).header("x-request-id", &request_id);
            came_by = Some(id);
        }
        let is_done_once = operation.headers().contains(&"Idempotency-Key");
        if is_done_once {
            asked = asked.once(&request_id);
        }
        let answer = asked.send();
        self.expect(Probe::Served, operation, &answer, (operation.success(), ""));
        if is_done_once {
            let again = asked.send();
            self.expect(Probe::Surplus, operation, &again, (operation.success(), ""));
            if again.header("idempotency-replayed") != Some("true") {
                self.found(Probe::Surplus, operation, &format!("done again: {again:?}"));
            }
        }
        if operation.takes("operator") && operation.takes("caller") && !operation.changes() {
            // Who was asked to come in, and who is signed in, a key does not see.
            let people = ["/invitations", "/sessions"];
            let sees = if people.iter().any(|part| operation.path.contains(part)) {
                &self.admin
            } else {
                &self.key
            };
            let request_id = fresh_request();
            let inside = request(operation, &here, subject).header("x-request-id", &request_id);
            let inside = inside.by(sees).send();
            self.expect(Probe::Served, operation, &inside, (operation.success(), ""));
            if reads_of(&request_id) != (Vec::new(), Vec::new()) {
                let left = format!("a caller left {:?}", reads_of(&request_id));
                self.found(Probe::Read, operation, &left);
            }
        }
        if answer.status == operation.success() {
            let mut subject = subject.to_vec();
            subject.extend(came_by.map(|id| ("invitation", id)));
            self.trail(operation, &subject, &request_id, &answer);
        }
        if operation.path.ends_with("/invitations") && operation.changes() {
            // Its mail would be sent in the middle of what is compared.
            let home = uuid(&self.home.id);
            execute(&format!(
                "delete from rowhouse.jobs where tenant_id = '{home}'; delete from rowhouse.outbox where tenant_id = '{home}'"
            ));
        }
    }

    /// One row in the tenant's own trail, one in the platform's when it was an operator; none when nothing was changed.
    fn trail(
        &mut self,
        operation: &Operation,
        subject: &[(&'static str, String)],
        request_id: &str,
        answer: &Answer,
    ) {
        let mut rows = rows_of(request_id);
        if !operation.changes() {
            if rows != (Vec::new(), 0) {
                self.found(Probe::Trail, operation, &format!("left {rows:?}"));
            }
            self.read(operation, subject, request_id);
            return;
        }
        let made = || text(&answer.json()["id"]);
        let of = |name: &str| {
            let value = subject.iter().find(|(of, _)| *of == name);
            value.map(|(_, value)| value.clone())
        };
        let founded = operation.path == "/api/v1/tenants";
        let tenant = if founded {
            made()
        } else {
            self.home.id.clone()
        };
        let resource = if operation.path.contains("/resources") {
            of("resource").or_else(|| Some(made()))
        } else {
            None
        };
        let object = if founded {
            tenant.clone()
        } else if let Some(resource) = &resource {
            resource.clone()
        } else if let Some(noun) = [
            "key",
            "workspace",
            "team",
            "project",
            "invitation",
            "session",
            "deployment",
            "persona",
        ]
        .into_iter()
        .find(|noun| operation.path.contains(&format!("/{noun}s")))
        {
            of(noun).unwrap_or_else(made)
        } else if let Some(user) = of("user") {
            user
        } else if operation.parameters().eq(["tenant"]) {
            tenant.clone()
        } else {
            panic!("{}: what is it done to?", operation.path)
        };
        let workspace = if founded {
            column(&format!(
                "select id::text from rowhouse.workspaces where tenant_id = '{}'",
                uuid(&tenant)
            ))
            .remove(0)
        } else if let Some(resource) = &resource {
            let id = uuid(resource);
            column(&format!(
                "select workspace_id::text from rowhouse.resources where id = '{id}'"
            ))
            .remove(0)
        } else if operation.path.contains("/workspaces") {
            uuid(&object).to_string()
        } else {
            "-".into()
        };
        let resource = if operation.path.contains("/deployments") {
            let id = uuid(&object);
            column(&format!(
                "select resource_id::text from rowhouse.deployments where id = '{id}'"
            ))
            .remove(0)
        } else {
            resource.map_or_else(|| "-".to_owned(), |resource| uuid(&resource).to_string())
        };
        if operation.path.ends_with("/invitations/accept") {
            // Beside it, a tenant of his own is founded for who is new, and begun to be set up.
            let home = uuid(&tenant).to_string();
            let all = rows.0.len();
            rows.0.retain(|row| row.starts_with(&home));
            let elsewhere = i64::try_from(all - rows.0.len()).unwrap();
            rows.1 = if elsewhere == 2 { rows.1 - 2 } else { -1 };
        }
        let row = format!("{} {} {workspace} {resource}", uuid(&tenant), uuid(&object));
        let expected = (vec![row], i64::from(operation.takes("operator")));
        if rows != expected {
            self.found(
                Probe::Trail,
                operation,
                &format!("left {rows:?}, not {expected:?}"),
            );
        }
    }

    /// What an operator read stands in both trails, or of the registry in the platform's; what others read, in none.
    fn read(
        &mut self,
        operation: &Operation,
        subject: &[(&'static str, String)],
        request_id: &str,
    ) {
        let of = |name: &str| {
            let value = subject.iter().find(|(of, _)| *of == name);
            value.map_or_else(|| "-".to_owned(), |(_, value)| uuid(value).to_string())
        };
        let path = operation.path;
        let expected = if !operation.takes("operator") || is_exempt(operation, Probe::Read) {
            (Vec::new(), Vec::new())
        } else if operation.parameters().any(|name| name == "tenant") {
            let tenant = uuid(&self.home.id);
            let (workspace, project) = (of("workspace"), of("project"));
            (
                vec![format!("{tenant} GET {path} {workspace} {project}")],
                vec![format!("{tenant} GET {path}")],
            )
        } else {
            (Vec::new(), vec![format!("- GET {path}")])
        };
        let left = reads_of(request_id);
        if left != expected {
            let what = format!("left {left:?}, not {expected:?}");
            self.found(Probe::Read, operation, &what);
        }
    }
}

/// What a request changed, by the tenants' trails (tenant, object, workspace and resource of each row), and how many rows in the
/// platform's.
fn rows_of(request_id: &str) -> (Vec<String>, i64) {
    let inside = column(&format!(
        "select concat_ws(' ', tenant_id, object_id, coalesce(workspace_id::text, '-'), coalesce(resource_id::text, '-'))
         from rowhouse.audit_log where request_id = '{request_id}' and action not in ('access.refuse', 'access.read')"
    ));
    let platform = number(&format!(
        "select count(*) from rowhouse.platform_audit
         where request_id = '{request_id}' and tenant_id is not null and action not in ('access.refuse', 'access.read')"
    ));
    (inside, platform)
}

/// What is told of a refused request in the tenants' trails: tenant and code of each row.
fn refusals_of(request_id: &str) -> Vec<String> {
    column(&format!(
        "select concat_ws(' ', tenant_id, detail ->> 'code') from rowhouse.audit_log
         where request_id = '{request_id}' and action = 'access.refuse'"
    ))
}

/// What a request read, by the tenants' trails (tenant, method, path, workspace and project of each row), and by the
/// platform's (tenant, method and path).
fn reads_of(request_id: &str) -> (Vec<String>, Vec<String>) {
    let inside = column(&format!(
        "select concat_ws(' ', tenant_id, detail ->> 'method', detail ->> 'path', coalesce(workspace_id::text, '-'),
           coalesce(project_id::text, '-'))
         from rowhouse.audit_log where request_id = '{request_id}' and action = 'access.read'"
    ));
    let platform = column(&format!(
        "select concat_ws(' ', coalesce(tenant_id::text, '-'), detail ->> 'method', detail ->> 'path')
         from rowhouse.platform_audit where request_id = '{request_id}' and action = 'access.read'"
    ));
    (inside, platform)
}
