//! The outbox: who may queue a mail, who reads it, and what becomes of it when workers fall and compete.

use std::time::Duration;

use rowhouse::ids::UserId;
use rowhouse::invitations::{self, NewInvitation};
use rowhouse::mail::{self, Mail, Taken};
use rowhouse::tenants::{self, Status};
use rowhouse::{Context, Error, Rowhouse, members, users};

use crate::attacks::{
    allowed, alpha, as_login, attacker, checks, enter, is_refused, refused, sees,
};
use crate::people::platform_inside;
use crate::world::{World, config};

checks![
    nobody_inside_reads_a_mail,
    an_invitation_tells_what_became_of_its_mail_and_nothing_of_it,
    nobody_inside_holds_up_who_notes_a_mail,
    only_the_mailer_reads_a_mail,
    only_the_platform_says_what_a_mail_says,
    a_login_of_another_side_is_no_mailer,
    a_mail_is_one_address_and_one_line_of_subject,
    a_job_says_where_to_look_and_nothing_else,
    a_mail_is_taken_by_one_at_a_time,
    who_notes_a_mail_and_who_takes_it_again_do_not_wait_for_each_other,
    who_comes_too_late_notes_nothing,
    the_text_is_gone_when_nothing_is_left_to_do,
    mail_of_a_suspended_tenant_waits,
    a_mail_of_what_was_undone_is_not_sent,
];

const LINK: &str = "https://example.com/?token={token}";
const MINUTE: Duration = Duration::from_mins(1);

fn mail(to: &str) -> Mail {
    Mail {
        to: to.into(),
        subject: "An invitation to alpha".into(),
        text: "Come in: https://example.com/?token=inv_secret\n".into(),
    }
}

/// A mail of alpha's.
async fn queued(world: &World) {
    let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
    mail::queue(&mut tx, mail("eve@example.com")).await.unwrap();
    tx.commit().await.unwrap();
}

/// What a worker does before it sends.
async fn take(world: &World, lease: Duration) -> Option<Taken> {
    let house = world.with_mailer().await;
    mail::take(house, lease, LINK).await.unwrap()
}

/// The mail that is due, or is in a moment: machines set their clocks back.
async fn due(world: &World, lease: Duration) -> Taken {
    for _ in 0..100 {
        if let Some(taken) = take(world, lease).await {
            return taken;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("HOLE: nobody is given the mail");
}

async fn sent(world: &World, taken: &Taken) -> bool {
    let house = world.with_mailer().await;
    mail::sent(house, taken).await.unwrap()
}

async fn failed(world: &World, taken: &Taken, why: &str, again_in: Option<Duration>) -> bool {
    let house = world.with_mailer().await;
    mail::failed(house, taken, why, again_in).await.unwrap()
}

async fn add_member(world: &World, role: members::Role) -> UserId {
    let mut tx = world.house.begin_platform().await.unwrap();
    let user = users::create(&mut tx, &format!("{role}@example.com"), "Somebody")
        .await
        .unwrap();
    members::add(&mut tx, &world.alpha.context(), user.id, role)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    user.id
}

pub async fn nobody_inside_reads_a_mail(world: &World) {
    queued(world).await;
    let a = attacker(world).await;
    for sql in [
        "table rowhouse.outbox",
        "select id from rowhouse.outbox",
        "select count(*) from rowhouse.outbox",
        "update rowhouse.outbox set subject = 'x'",
        "delete from rowhouse.outbox",
        "insert into rowhouse.outbox (id, recipient, subject, text) values (gen_random_uuid(), 'a@b.example', 's', 't') returning text",
        "table rowhouse.jobs",
        "insert into rowhouse.jobs (tenant_id, kind, id, due_at) values (rowhouse.current_tenant(), 'mail', gen_random_uuid(), now())",
    ] {
        refused(&a, sql, "42501").await;
    }
    // With a right to the table, its policies still show nothing.
    let root = world.superuser().await;
    root.batch_execute("grant select on rowhouse.outbox to rowhouse_app")
        .await
        .unwrap();
    sees(&a, "select count(*) from rowhouse.outbox", &["0"]).await;
}

/// What its inviters see of the invitation's mail.
async fn told(world: &World, by: &Context) -> Vec<mail::Status> {
    let mut tx = world.house.begin(by).await.unwrap();
    let all = invitations::list(&mut tx, None, 50).await.unwrap();
    tx.commit().await.unwrap();
    all.iter().map(|invitation| invitation.mail).collect()
}

pub async fn an_invitation_tells_what_became_of_its_mail_and_nothing_of_it(world: &World) {
    let owner = world.alpha.context();
    let mut tx = world.house.begin(&owner).await.unwrap();
    let new = NewInvitation::new("guest@example.com", members::Role::Member);
    let made = invitations::create(&mut tx, new).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(made.mail, mail::Status::Queued);
    // Taken and put off, it is queued still; refused for good, it says so. And one that went says that.
    let first = due(world, MINUTE).await;
    failed(world, &first, "no", Some(Duration::ZERO)).await;
    assert_eq!(told(world, &owner).await, [mail::Status::Queued]);
    let second = due(world, MINUTE).await;
    failed(world, &second, "guest@example.com is unknown", None).await;
    assert_eq!(
        told(world, &owner).await,
        [mail::Status::Failed],
        "HOLE: it looks pending"
    );
    let mut tx = world.house.begin(&owner).await.unwrap();
    invitations::revoke(&mut tx, made.id).await.unwrap();
    let again = NewInvitation::new("guest@example.com", members::Role::Member);
    invitations::create(&mut tx, again).await.unwrap();
    tx.commit().await.unwrap();
    let third = due(world, MINUTE).await;
    sent(world, &third).await;
    let both = [mail::Status::Sent, mail::Status::Failed];
    assert_eq!(told(world, &owner).await, both);

    // That word is all: not to whom, not what, not why; nobody else sees it, and nobody writes it.
    let look = "select mail from rowhouse.invitations order by mail";
    let a = attacker(world).await;
    sees(&a, look, &["failed", "sent"]).await;
    for column in ["status", "text", "token", "recipient", "last_error", "id"] {
        refused(
            &a,
            &format!("select {column} from rowhouse.outbox"),
            "42501",
        )
        .await;
    }
    refused(&a, "select mail_id from rowhouse.invitations", "42501").await;
    let say = "update rowhouse.invitations set mail = 'sent'";
    refused(&a, say, "42501").await;
    let member = Context::user(
        world.alpha.id,
        add_member(world, members::Role::Member).await,
    );
    let system = platform_inside(world, world.alpha.id).await;
    sees(&system, look, &["failed", "sent"]).await;
    refused(&system, say, "42501").await;
    for other in [
        member,
        Context::tenant(world.alpha.id),
        world.beta.context(),
    ] {
        let client = world.app().await;
        enter(&client, world, &other).await;
        sees(&client, look, &[]).await;
    }
}

/// A mail is noted while an inviter holds the invitation locked; it is sent, and only that word is missing.
pub async fn nobody_inside_holds_up_who_notes_a_mail(world: &World) {
    let owner = world.alpha.context();
    let mut tx = world.house.begin(&owner).await.unwrap();
    let new = NewInvitation::new("guest@example.com", members::Role::Member);
    invitations::create(&mut tx, new).await.unwrap();
    tx.commit().await.unwrap();
    let a = attacker(world).await;
    allowed(&a, "select id from rowhouse.invitations for update").await;
    let taken = due(world, MINUTE).await;
    let noted = tokio::time::timeout(Duration::from_secs(5), sent(world, &taken)).await;
    assert!(noted.expect("HOLE: whoever is inside holds up the mail of all"));
    let root = world.superuser().await;
    sees(&root, "select status from rowhouse.outbox", &["sent"]).await;
    a.batch_execute("rollback").await.unwrap();
    assert_eq!(told(world, &owner).await, [mail::Status::Queued]);
}

pub async fn only_the_mailer_reads_a_mail(world: &World) {
    const TAKE: &str = "select text, subject, recipient from rowhouse.take_mail(0)";
    const NOTE: &str = "select rowhouse.note_mail(gen_random_uuid(), gen_random_uuid(), 1, 'sent', null, 0, gen_random_uuid())";
    queued(world).await;
    let mut tx = world.house.begin_platform().await.unwrap();
    let system = tx.system_of(world.alpha.id).await.unwrap();
    tx.commit().await.unwrap();
    for login in ["test_app", "test_platform"] {
        let client = as_login(world, login).await;
        refused(&client, TAKE, "42501").await;
        refused(&client, NOTE, "42501").await;
    }
    // The platform inside the tenant, where it queues and invites.
    let p = as_login(world, "test_platform").await;
    enter(&p, world, &system).await;
    for sql in [
        "table rowhouse.outbox",
        "select text from rowhouse.outbox",
        "select count(*) from rowhouse.outbox where text like '%token=inv_s%'",
        "update rowhouse.outbox set status = 'queued'",
        "update rowhouse.outbox set recipient = 'eve@example.com' where text is not null",
        "delete from rowhouse.outbox",
        "insert into rowhouse.outbox (id, recipient, subject, text) values (gen_random_uuid(), 'a@b.example', 's', 't') returning text",
        "copy rowhouse.outbox to stdout",
    ] {
        refused(&p, sql, "42501").await;
    }
    allowed(
        &p,
        "insert into rowhouse.outbox (id, recipient, subject, text) values (gen_random_uuid(), 'a@b.example', 's', 't')",
    )
    .await;
    p.batch_execute("rollback").await.unwrap();
    // The mailer has its two functions, and nothing else; also inside the tenant, for whoever had a ticket.
    let m = as_login(world, "test_mailer").await;
    sees(
        &m,
        TAKE,
        &["Come in: https://example.com/?token=inv_secret\n|An invitation to alpha|eve@example.com"],
    )
    .await;
    sees(&m, NOTE, &["f"]).await;
    enter(&m, world, &world.alpha.context()).await;
    for sql in [
        "table rowhouse.outbox",
        "select tenant_id from rowhouse.outbox",
        "table rowhouse.jobs",
        "table rowhouse.tenants",
        "table rowhouse.users",
        "table rowhouse.locator",
        "table rowhouse.invitations",
        "table rowhouse.resources",
        "select rowhouse.locate('email', '')",
        "select rowhouse.people()",
        "select rowhouse.invite(gen_random_uuid(), 'a@b.example', 'owner', now(), gen_random_uuid())",
    ] {
        refused(&m, sql, "42501").await;
    }
    // Not from inside a tenant either: what it takes is not that one's.
    refused(&m, TAKE, "55000").await;
}

/// A mail comes in the platform's name. Whoever could write one would have it say that its link leads to the platform.
pub async fn a_login_of_another_side_is_no_mailer(world: &World) {
    world.with_mailer().await;
    for login in ["test_app", "test_platform", "test_sealer"] {
        let config = config(&world.database).with_mailer(world.url(login));
        let refusal = Rowhouse::connect(config).await.err();
        assert!(
            matches!(&refusal, Some(Error::WeakLogin { login: named, .. }) if named == login),
            "HOLE: {login} sends mail: {refusal:?}"
        );
    }
}

pub async fn only_the_platform_says_what_a_mail_says(world: &World) {
    const QUEUE: &str = "insert into rowhouse.outbox (id, recipient, subject, text) values (gen_random_uuid(), 'eve@example.com', 's', 't')";
    let admin = add_member(world, members::Role::Admin).await;
    let into_alpha = |user| Context::user(world.alpha.id, user);
    for context in [
        world.alpha.context(),
        into_alpha(admin),
        Context::tenant(world.alpha.id),
    ] {
        let mut tx = world.house.begin(&context).await.unwrap();
        let queued = mail::queue(&mut tx, mail("eve@example.com")).await;
        is_refused(queued, "not-permitted");
    }
    refused(&attacker(world).await, QUEUE, "42501").await;
    queued(world).await;
    sees(
        &world.superuser().await,
        "select count(*) from rowhouse.outbox o join rowhouse.jobs j using (tenant_id, id)",
        &["1"],
    )
    .await;

    // Who may invite says whom and as what. The words are ours, the link is the sender's, the token goes where it last stands.
    superuser_renames(world, "alpha {link} {token}").await;
    let taken = due(world, MINUTE).await;
    assert!(sent(world, &taken).await);
    let a = attacker(world).await;
    allowed(
        &a,
        "select rowhouse.invite(gen_random_uuid(), 'eve@example.com', 'member', now() + interval '1 day', gen_random_uuid())",
    )
    .await;
    a.batch_execute("commit").await.unwrap();
    let text = due(world, MINUTE).await.mail.text;
    let (before, rest) = text
        .split_once("https://example.com/?token=invite_")
        .unwrap();
    assert_eq!(
        before,
        "You are invited to alpha {link} {token}, as member. To accept, open\n\n"
    );
    let (made, after) = rest.split_once('\n').unwrap();
    assert!(made.len() == 48 && !after.contains(made), "{text}");
}

async fn superuser_renames(world: &World, name: &str) {
    let rename = format!("update rowhouse.tenants set name = '{name}' where slug = 'alpha'");
    world
        .superuser()
        .await
        .batch_execute(&rename)
        .await
        .unwrap();
}

pub async fn a_mail_is_one_address_and_one_line_of_subject(world: &World) {
    let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
    for to in [
        "",
        "eve",
        "eve@",
        "@example.com",
        "eve@example.com\r\nBcc: all@example.com",
        "eve@example.com\nX: y",
        "eve@example.com,mallory@example.com",
        "Eve <eve@example.com>",
        "\"Eve\" eve@example.com",
        "eve@example.com (Eve)",
        "friends:eve@example.com;",
        "eve\u{202e}@example.com",
        "eve@example.com\0",
        &format!("{}@example.com", "e".repeat(250)),
    ] {
        is_refused(mail::queue(&mut tx, mail(to)).await, "invalid");
    }
    for subject in [
        "",
        "x\r\nBcc: all@example.com",
        "x\ny",
        "x\0",
        &"x".repeat(501),
    ] {
        let mail = Mail {
            subject: subject.into(),
            ..mail("eve@example.com")
        };
        is_refused(mail::queue(&mut tx, mail).await, "invalid");
    }
    for text in ["x\0", "x\x1b[2J", &"x".repeat(100_001)] {
        let mail = Mail {
            text: text.into(),
            ..mail("eve@example.com")
        };
        is_refused(mail::queue(&mut tx, mail).await, "invalid");
    }
    for to in [
        "eve@example.com",
        "eve+walls@example.com",
        "用户@例子.example",
    ] {
        let queued = mail::queue(&mut tx, mail(to)).await;
        assert!(
            queued.is_ok(),
            "HOLE: refused what is allowed: {to} {queued:?}"
        );
    }
    let subject = Mail {
        subject: "Приглашение für ALPHA".into(),
        ..mail("eve@example.com")
    };
    mail::queue(&mut tx, subject).await.unwrap();
    tx.commit().await.unwrap();
    // Whoever writes the row himself meets the same.
    let a = platform_inside(world, world.alpha.id).await;
    let row = |to: &str, subject: &str| {
        format!(
            "insert into rowhouse.outbox (id, recipient, subject, text) values (gen_random_uuid(), {to}, {subject}, 't')"
        )
    };
    for to in [
        "''",
        "'eve'",
        r"E'eve@example.com\r\nBcc: all@example.com'",
        r"E'eve@example.com\nX: y'",
        "'eve@example.com,mallory@example.com'",
        "'Eve <eve@example.com>'",
        "repeat('e', 250) || '@example.com'",
    ] {
        refused(&a, &row(to, "'s'"), "23514").await;
    }
    for subject in ["''", r"E's\r\nBcc: all@example.com'", r"E's\nX: y'"] {
        refused(&a, &row("'eve@example.com'", subject), "23514").await;
    }
    allowed(&a, &row("'eve@example.com'", "'s'")).await;
}

pub async fn a_job_says_where_to_look_and_nothing_else(world: &World) {
    const JOBS: &str = "select tenant_id, kind from rowhouse.jobs";
    let p = as_login(world, "test_platform").await;
    let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
    mail::queue(&mut tx, mail("eve@example.com")).await.unwrap();
    tx.rollback().await;
    sees(&p, JOBS, &[]).await;
    queued(world).await;
    sees(&p, JOBS, &[&format!("{}|mail", alpha(world))]).await;
    sees(
        &world.superuser().await,
        "select string_agg(attname, ' ' order by attnum) from pg_attribute where attrelid = 'rowhouse.jobs'::regclass and attnum > 0",
        &["tenant_id kind id due_at created_at updated_at"],
    )
    .await;
    refused(
        &p,
        "insert into rowhouse.jobs (tenant_id, kind, id, due_at) values (gen_random_uuid(), 'mail', gen_random_uuid(), now())",
        "42501",
    )
    .await;
}

pub async fn a_mail_is_taken_by_one_at_a_time(world: &World) {
    for _ in 0..20 {
        queued(world).await;
    }
    let hand = async || {
        let mut taken = Vec::new();
        while let Some(mine) = take(world, MINUTE).await {
            taken.push(mine.id);
        }
        taken
    };
    let (mut one, other) = tokio::join!(hand(), hand());
    assert!(
        !one.is_empty() && !other.is_empty(),
        "neither waits for the other"
    );
    one.extend(other);
    one.sort();
    one.dedup();
    assert_eq!(one.len(), 20, "HOLE: taken twice, or not at all");
}

/// Whoever takes it holds its job and wants the mail: who notes it has to want the job first, with nothing in hand.
pub async fn who_notes_a_mail_and_who_takes_it_again_do_not_wait_for_each_other(world: &World) {
    queued(world).await;
    let taken = due(world, MINUTE).await;
    let root = world.superuser().await;
    root.batch_execute("begin; select from rowhouse.jobs for update")
        .await
        .unwrap();
    let again = async {
        let waits = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        while root.query(waits, &[]).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mail = root.batch_execute("select from rowhouse.outbox for update nowait");
        mail.await.expect("HOLE: each waits for the other");
        root.batch_execute("commit").await.unwrap();
    };
    let (noted, ()) = tokio::join!(sent(world, &taken), again);
    assert!(noted);
}

pub async fn who_comes_too_late_notes_nothing(world: &World) {
    queued(world).await;
    let late = due(world, Duration::ZERO).await;
    let second = due(world, MINUTE).await; // what a worker that fell had taken
    assert_eq!(
        (late.attempt, second.attempt, late.id),
        (1, 2, second.id),
        "the same mail"
    );
    let again = Some(Duration::ZERO);
    let notes = [
        sent(world, &late).await,
        failed(world, &late, "x", None).await,
        failed(world, &late, "x", again).await,
    ];
    assert_eq!(
        notes, [false; 3],
        "HOLE: noted over the head of whom it is with"
    );
    assert!(sent(world, &second).await);
    assert!(!sent(world, &second).await, "HOLE: sent twice");
    assert!(take(world, MINUTE).await.is_none(), "HOLE: sent again");
}

pub async fn the_text_is_gone_when_nothing_is_left_to_do(world: &World) {
    const OUTBOX: &str =
        "select status, attempts, text is null, last_error, sent_at is null from rowhouse.outbox";
    let root = world.superuser().await;
    for (for_good, row) in [(false, "sent|2|t|null|f"), (true, "failed|2|t|no|t")] {
        root.batch_execute("delete from rowhouse.outbox")
            .await
            .unwrap();
        queued(world).await;
        let taken = due(world, MINUTE).await;
        assert_eq!(taken.mail.to, "eve@example.com");
        assert!(taken.mail.text.contains("inv_secret"));
        assert!(
            !format!("{taken:?}").contains("eve"),
            "HOLE: a mail that prints"
        );
        failed(world, &taken, "not now", Some(Duration::ZERO)).await;
        sees(&root, OUTBOX, &["queued|1|f|not now|t"]).await;
        let again = due(world, MINUTE).await;
        if for_good {
            failed(world, &again, "no", None).await;
        } else {
            sent(world, &again).await;
        }
        sees(&root, OUTBOX, &[row]).await;
        sees(&root, "table rowhouse.jobs", &[]).await;
    }
    sees(
        &root,
        "select action, detail from rowhouse.audit_log where action like 'mails.%' order by ctid",
        &[
            "mails.send|{\"attempts\": 2}",
            "mails.fail|{\"attempts\": 2}",
        ],
    )
    .await;
}

pub async fn mail_of_a_suspended_tenant_waits(world: &World) {
    queued(world).await;
    let set = async |status| {
        let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
        tenants::set_status(&mut tx, status, None).await.unwrap();
        tx.commit().await.unwrap();
    };
    set(Status::Suspended).await;
    assert!(take(world, MINUTE).await.is_none(), "HOLE: it is closed");
    set(Status::Active).await;
    due(world, MINUTE).await;
}

pub async fn a_mail_of_what_was_undone_is_not_sent(world: &World) {
    let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
    let undone = tx
        .attempt(async |tx| {
            mail::queue(tx, mail("eve@example.com")).await?;
            Err::<(), _>(Error::Changed)
        })
        .await;
    assert!(matches!(undone, Err(Error::Changed)));
    tx.commit().await.unwrap();
    assert!(take(world, MINUTE).await.is_none(), "HOLE: it was undone");
    queued(world).await;
    due(world, MINUTE).await;
}
