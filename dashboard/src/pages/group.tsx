/** A page of actions that belong together, with what its code shows above them. */

import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { actions, pathOf } from "../api/actions.ts";
import { askPage, page, usePageLive } from "../api/pages.ts";
import { TOLD_TIMES } from "../api/runs.ts";
import type { Action, Component, Json, Layout } from "../api/types.ts";
import { Actions, Offline } from "../components/action_list.tsx";
import { Empty } from "../components/empty.tsx";
import { Icon } from "../components/icon.tsx";
import { Card, Page } from "../components/page.tsx";
import { shownOf } from "../run/component.ts";
import { Display } from "../run/displays/display.tsx";
import { LeadButton, usePlace } from "../run/displays/place.tsx";
import { Logs } from "../run/logs.tsx";
import { useTitle } from "../title.ts";
import style from "./group.module.css";
import { NotFoundPage } from "./not_found.tsx";

export default function GroupPage({ slug }: { slug: string }) {
  const { data: known } = useQuery(actions);
  const own = known?.find((action) => action.isPage && action.slug === slug);
  const inside = known?.filter((action) => action.slug.startsWith(`${slug}/`) && !action.unlisted);
  if (known && !own && inside?.length === 0) return <NotFoundPage />;
  return <Whole key={slug} slug={slug} own={own} inside={inside} />;
}

interface WholeProps {
  slug: string;
  /** What is known of the page itself: a group need not have one. */
  own: Action | undefined;
  /** What lies on it. */
  inside: readonly Action[] | undefined;
}

function Whole({ slug, own, inside }: WholeProps) {
  const params = useSearch();
  const isConnected = own?.source === "host";
  usePageLive(slug, params, own?.online === true);
  const { data: shown } = useQuery(page(slug, params));
  const layout = shown?.layout;
  const title = layout?.title ?? own?.name ?? slug;
  useTitle(title);
  const [, go] = useLocation();
  const place = usePlace(shown?.redirect ?? undefined);
  useEffect(() => {
    if (!place) return;
    if (place.isElsewhere) location.assign(place.href);
    else go(place.href, { replace: true });
  }, [place, go]);
  const parts = layout?.children?.toRender ?? [];
  return (
    <Page
      title={title}
      about={layout?.description ?? own?.description}
      actions={layout?.menuItems?.map((item, index) => <LeadButton key={index} item={item} />)}
    >
      <Path slug={slug} />
      {isConnected && !own.online && (
        <p role="status" className={style.offline}>
          <Offline /> The program behind this page is away. What it shows is here again when it is back.
        </p>
      )}
      <Errors layout={layout ?? undefined} />
      {parts.map((component, index) => (
        <Part
          key={index}
          slug={slug}
          params={params}
          index={index}
          component={component}
          toldTimes={isConnected ? TOLD_TIMES : 1}
        />
      ))}
      {inside && inside.length > 0 ? (
        <Card isFlush>
          <Actions actions={inside} />
        </Card>
      ) : (
        inside &&
        parts.length === 0 && (
          <Card isFlush>
            <Empty title="Nothing here yet">What this page offers stands here as soon as there is some.</Empty>
          </Card>
        )
      )}
      {shown && shown.logs.length > 0 && <Logs logs={shown.logs} isOver />}
    </Page>
  );
}

interface PartProps {
  slug: string;
  params: string;
  index: number;
  component: Component;
  toldTimes: number;
}

function Part({ slug, params, index, component, toldTimes }: PartProps) {
  const ask = useCallback(
    (state: Json) => askPage({ slug, params, index, toldTimes }, state).then(shownOf),
    [slug, params, index, toldTimes],
  );
  return <Display shown={shownOf(component)} ask={ask} isReadOnly={false} />;
}

function Errors({ layout }: { layout: Layout | undefined }) {
  if (!layout?.errors?.length) return null;
  return (
    <ul role="alert" className={style.errors}>
      {layout.errors.map(({ layoutKey, message }, index) => (
        <li key={index}>
          <Icon name="warning" /> {layoutKey ? `${layoutKey}: ` : ""}
          {message}
        </li>
      ))}
    </ul>
  );
}

/** The pages it lies on. */
function Path({ slug }: { slug: string }) {
  const parts = slug.split("/").slice(0, -1);
  if (parts.length === 0) return null;
  return (
    <nav aria-label="Path" className={style.path}>
      <Link href="/">Home</Link>
      {parts.map((part, index) => {
        const above = parts.slice(0, index + 1).join("/");
        return (
          <Link key={above} href={`/p/${pathOf(above)}`}>
            {part}
          </Link>
        );
      })}
    </nav>
  );
}
