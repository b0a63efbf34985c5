import type { JSX } from "preact";
import { useId } from "preact/hooks";
import { answer, api, type Customer } from "@angbu/shared/client";
import { type Resource, useResource } from "../resource";
import { useRouter } from "../router";
import { useSpeech } from "../words";

/** The customers that this account reaches. */
export function useCustomers(): Resource<readonly Customer[]> {
  return useResource<readonly Customer[]>("customers", async () => (await answer(api.GET("/api/v1/customers"))).customers);
}

/** Which customer a page is about; the choice stands in the address bar. */
export function CustomerChooser(props: {
  readonly customers: readonly Customer[];
  readonly chosen: string | undefined;
  readonly path: string;
  /** Query values that stay when another customer is chosen. */
  readonly keep?: Readonly<Record<string, string>>;
  /** Whether all of them at once can be shown. */
  readonly all: boolean;
}): JSX.Element | null {
  const { words } = useSpeech();
  const { address, go } = useRouter();
  const id = useId();
  if (props.customers.length < 2) return null;
  return (
    <div class="chooser">
      <label for={id}>{words.customer}</label>
      <select
        id={id}
        onChange={(event) => {
          const chosen = event.currentTarget.value;
          go(address(props.path, { ...props.keep, customer: chosen === "" ? null : chosen }));
        }}
      >
        {props.all && (
          <option value="" selected={props.chosen === undefined}>
            {words.allCustomers}
          </option>
        )}
        {props.customers.map((each) => (
          <option key={each.id} value={each.name} selected={each.name === props.chosen}>
            {each.name}
          </option>
        ))}
      </select>
    </div>
  );
}
