//! The tables that `latency` and `cpu` read: a shop with notes, three times over, with the same rows and indexes.
//!
//! `bare` has no row-level security and is filtered by hand; `unsealed` has the policy that most guides show, on a setting
//! that whoever runs SQL can set; `walled` is behind the wall. The statements are the same but for the hand-written
//! filter, which only `bare` needs.

use std::ops::Range;

use rowhouse::ids::TenantId;
use rowhouse::tables::{self, Assign, Protect};

use crate::world::{Database, Result, Server};

pub const TENANTS: usize = 50;
pub const NOTES: usize = 1000;
const ORDERS: usize = 400;
const PAGE: usize = 50;

const TABLES: [&str; 6] = [
    "notes",
    "categories",
    "products",
    "customers",
    "orders",
    "order_lines",
];

const MADE: &str = "
    create schema shop;
    create table shop.notes (
      tenant_id uuid not null, id bigint not null, title text not null, body text not null,
      created_at timestamptz not null, primary key (tenant_id, id));
    create index on shop.notes (tenant_id, created_at desc, id desc);
    create table shop.categories (
      tenant_id uuid not null, id bigint not null, name text not null, primary key (tenant_id, id));
    create table shop.products (
      tenant_id uuid not null, id bigint not null, category_id bigint not null, name text not null,
      primary key (tenant_id, id),
      foreign key (tenant_id, category_id) references shop.categories (tenant_id, id));
    create table shop.customers (
      tenant_id uuid not null, id bigint not null, name text not null, primary key (tenant_id, id));
    create table shop.orders (
      tenant_id uuid not null, id bigint not null, customer_id bigint not null, primary key (tenant_id, id),
      foreign key (tenant_id, customer_id) references shop.customers (tenant_id, id));
    create table shop.order_lines (
      tenant_id uuid not null, id bigint not null, order_id bigint not null, product_id bigint not null,
      quantity int not null, primary key (tenant_id, id),
      foreign key (tenant_id, order_id) references shop.orders (tenant_id, id),
      foreign key (tenant_id, product_id) references shop.products (tenant_id, id));
    create index on shop.order_lines (tenant_id, order_id);
    grant usage on schema shop to plain;
    grant select on all tables in schema shop to plain;";

/// Each with `$1` for the tenant and `$2` for the number of rows.
const FILLED: [&str; 6] = [
    "insert into bare.notes
     select t, n, 'Note ' || n, repeat('lorem ipsum ', 10), timestamptz '2026-01-01' + n * interval '1 minute'
     from unnest($1::uuid[]) t, generate_series(1, 1000) n",
    "insert into bare.categories select t, n, 'Category ' || n from unnest($1::uuid[]) t, generate_series(1, 10) n",
    "insert into bare.products select t, n, 1 + n % 10, 'Product ' || n from unnest($1::uuid[]) t, generate_series(1, 100) n",
    "insert into bare.customers select t, n, 'Customer ' || n from unnest($1::uuid[]) t, generate_series(1, 100) n",
    "insert into bare.orders select t, n, 1 + n % 100 from unnest($1::uuid[]) t, generate_series(1, 400) n",
    "insert into bare.order_lines
     select t, n, 1 + n / 5, 1 + n * 7 % 100, n % 9 from unnest($1::uuid[]) t, generate_series(0, 1999) n",
];

/// What is measured: how many rows it gives for each of its keys, `$1`.
pub struct Statement {
    pub name: &'static str,
    pub rows: usize,
    pub keys: Range<usize>,
    sql: &'static str,
    filter: &'static str,
}

pub const POINT: Statement = Statement {
    name: "point read",
    rows: 1,
    keys: 1..NOTES + 1,
    sql: "select title from shop.notes n where n.id = $1",
    filter: " and n.tenant_id = $2",
};

pub const NEXT_PAGE: Statement = Statement {
    name: "page of 50",
    rows: PAGE,
    keys: PAGE + 1..NOTES + 1,
    sql: "select n.id, n.title, n.created_at
          from shop.notes n
          where (n.created_at, n.id) < (timestamptz '2026-01-01' + $1::bigint * interval '1 minute', $1)FILTER
          order by n.created_at desc, n.id desc
          limit 50",
    filter: " and n.tenant_id = $2",
};

pub const JOIN: Statement = Statement {
    name: "five-way join",
    rows: 5,
    keys: 1..ORDERS + 1,
    sql: "select o.id, c.name, l.quantity, p.name, k.name
          from shop.orders o
          join shop.customers c on c.id = o.customer_id
          join shop.order_lines l on l.order_id = o.id
          join shop.products p on p.id = l.product_id
          join shop.categories k on k.id = p.category_id
          where o.id = $1",
    filter: " and o.tenant_id = $2 and c.tenant_id = $2 and l.tenant_id = $2 and p.tenant_id = $2 and k.tenant_id = $2",
};

impl Statement {
    /// Filtered by hand: `$2` is the tenant.
    pub fn bare(&self) -> String {
        let filtered = if self.sql.contains("FILTER") {
            self.sql.replace("FILTER", self.filter)
        } else {
            format!("{}{}", self.sql, self.filter)
        };
        filtered.replace("shop.", "bare.")
    }

    pub fn unsealed(&self) -> String {
        self.sql.replace("FILTER", "").replace("shop.", "unsealed.")
    }

    pub fn walled(&self) -> String {
        self.sql.replace("FILTER", "").replace("shop.", "walled.")
    }
}

/// Makes the shops in a database of their own.
pub async fn open(server: &Server, database: &str) -> Result<(Database, Vec<TenantId>)> {
    let database = server.database(database).await?;
    let tenants = database.found(TENANTS).await?;
    let ids: Vec<_> = tenants.iter().map(|id| id.uuid()).collect();
    let superuser = database.superuser().await?;
    for shop in ["bare", "unsealed", "walled"] {
        superuser.batch_execute(&MADE.replace("shop", shop)).await?;
    }
    for fill in FILLED {
        superuser.execute(fill, &[&ids]).await?;
    }
    for table in TABLES {
        superuser
            .batch_execute(&format!(
                "insert into unsealed.{table} select * from bare.{table};
                 insert into walled.{table} select * from bare.{table};
                 alter table unsealed.{table} enable row level security, force row level security;
                 create policy tenant on unsealed.{table} using
                   (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))"
            ))
            .await?;
    }
    let plan: Vec<Protect> = TABLES
        .iter()
        .map(|table| Protect::content(format!("walled.{table}"), Assign::Empty))
        .collect();
    let mut owner = database.owner().await?;
    let tx = owner.begin().await?;
    tables::protect(&tx, &plan).await?;
    tx.commit().await?;
    superuser
        .batch_execute("grant usage on schema walled to rowhouse_app")
        .await?;
    database.tidy().await?;
    Ok((database, tenants))
}
