import type { ComponentChildren, JSX } from "preact";
import { accountsPath, Link, type Part, useRouter } from "../router";
import { partsFor, useSession } from "../session";
import { useSpeech } from "../words";
import { CodesPage } from "./accounts/codes";
import { CustomerAccountPage } from "./accounts/customer";
import { CustomersPage } from "./accounts/customers";
import { MachinesPage } from "./accounts/machines";
import { PeoplePage } from "./accounts/people";
import { PersonPage } from "./accounts/person";
import { StaffPage } from "./accounts/staff";
import { TokensPage } from "./accounts/tokens";
import { NotAllowedPage } from "./missing";

/** Who may do what here? Each part answers it for one kind of account. */
export function AccountsPage(props: { readonly part: Part | undefined; readonly one: string | undefined }): JSX.Element {
  const allowed = partsFor(useSession().scopes);
  const part = props.part ?? allowed[0];
  if (part === undefined || !allowed.includes(part)) return <NotAllowedPage />;
  return (
    <Beside part={part} allowed={allowed}>
      <PartPage part={part} one={props.one} />
    </Beside>
  );
}

function PartPage(props: { readonly part: Part; readonly one: string | undefined }): JSX.Element {
  const { part, one } = props;
  switch (part) {
    case "customers":
      return one === undefined ? <CustomersPage /> : <CustomerAccountPage key={one} customer={one} />;
    case "people":
      return one === undefined ? <PeoplePage /> : <PersonPage key={one} person={one} />;
    case "staff":
      return <StaffPage />;
    case "machines":
      return <MachinesPage />;
    case "codes":
      return <CodesPage />;
    case "tokens":
      return <TokensPage />;
  }
}

/** The parts beside one another; the chosen customer comes along. */
function Beside(props: { readonly part: Part; readonly allowed: readonly Part[]; readonly children: ComponentChildren }): JSX.Element {
  const { words } = useSpeech();
  const { query, address } = useRouter();
  const customer = query.get("customer");
  return (
    <>
      <nav class="choice parts" aria-label={words.accounts}>
        {props.allowed.map((each) => (
          <Link
            key={each}
            href={address(accountsPath(each), { customer: each === "customers" ? null : customer })}
            aria-current={each === props.part ? "page" : undefined}
          >
            {words[`part.${each}`]}
          </Link>
        ))}
      </nav>
      {props.children}
    </>
  );
}
