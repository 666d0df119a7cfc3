/** A page of actions that belong together. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { actions, pathOf } from "../api/actions.ts";
import { Actions } from "../components/action_list.tsx";
import { Empty } from "../components/empty.tsx";
import { Card, Page } from "../components/page.tsx";
import { useTitle } from "../title.ts";
import { NotFoundPage } from "./not_found.tsx";
import style from "./group.module.css";

export function GroupPage({ slug }: { slug: string }) {
  const { data: known } = useQuery(actions);
  const page = known?.find((action) => action.isPage && action.slug === slug);
  const inside = known?.filter((action) => action.slug.startsWith(`${slug}/`) && !action.unlisted);
  const title = page?.name ?? slug;
  useTitle(title);
  if (known && !page && inside?.length === 0) return <NotFoundPage />;
  return (
    <Page title={title} about={page?.description}>
      <Path slug={slug} />
      <Card isFlush>
        {inside?.length === 0 ? (
          <Empty title="No actions here yet">
            What this page offers stands here as soon as its program, or its hook, has some.
          </Empty>
        ) : (
          <Actions actions={inside ?? []} />
        )}
      </Card>
    </Page>
  );
}

/** The pages it lies on. */
function Path({ slug }: { slug: string }) {
  const parts = slug.split("/").slice(0, -1);
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
