//! Quotas: how much a tenant may have of what. Table `rowhouse.quotas`. Written by the platform; a name without a row is
//! without limit. Nothing is counted against them yet.

use serde::Serialize;

use crate::error::Result;
use crate::tenants::PlanTier;
use crate::text_enum::text_enum;
use crate::tx::TenantTx;

text_enum! {
    /// What is limited. Constraint `quotas_name`.
    Name shown as QuotaName {
        /// Its people.
        Members = "members",
        /// Its projects.
        Projects = "projects",
        /// Its API keys.
        Keys = "keys",
        /// Its resources.
        Resources = "resources",
        /// Bytes in its storage.
        StorageBytes = "storage_bytes",
    }
}

/// A limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quota {
    /// Of what.
    pub name: Name,
    /// How much at most.
    pub amount: i64,
}

const GIB: i64 = 1 << 30;

/// What a tier comes with; what is not in it is without limit.
pub fn of_plan(plan: PlanTier) -> Vec<Quota> {
    let [members, projects, keys, resources, gibibytes] = match plan {
        PlanTier::Free => [5, 3, 5, 1_000, 1],
        PlanTier::Team => [50, 25, 50, 50_000, 50],
        PlanTier::Business => [500, 250, 500, 1_000_000, 1_000],
        PlanTier::Enterprise => return Vec::new(),
    };
    [
        (Name::Members, members),
        (Name::Projects, projects),
        (Name::Keys, keys),
        (Name::Resources, resources),
        (Name::StorageBytes, gibibytes * GIB),
    ]
    .map(|(name, amount)| Quota { name, amount })
    .to_vec()
}

/// The tenant's own, by name.
pub async fn list(tx: &mut TenantTx) -> Result<Vec<Quota>> {
    let tenant = tx.tenant_id();
    let rows = tx
        .query(
            "select name, amount from rowhouse.quotas where tenant_id = $1 order by name",
            &[&tenant],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Quota {
            name: row.get("name"),
            amount: row.get("amount"),
        })
        .collect())
}

/// Gives the tenant those that it has not yet, from inside, as the platform.
pub(crate) async fn grant_missing(tx: &mut TenantTx, quotas: &[Quota]) -> Result<()> {
    let tenant = tx.tenant_id();
    let names: Vec<Name> = quotas.iter().map(|quota| quota.name).collect();
    let amounts: Vec<i64> = quotas.iter().map(|quota| quota.amount).collect();
    tx.execute(
        "insert into rowhouse.quotas (tenant_id, name, amount)
         select $1, name, amount from unnest($2::text[], $3::bigint[]) as granted (name, amount)
         on conflict on constraint quotas_pkey do nothing",
        &[&tenant, &names, &amounts],
    )
    .await?;
    Ok(())
}
