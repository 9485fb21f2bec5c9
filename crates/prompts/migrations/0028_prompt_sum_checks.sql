-- First, and then the tables in the order in which the end of an execution writes them: nodes of the version before run on, and who has
-- one of these and waits for another must not have what this waits for.
-- What a model explains of an answer while it writes it, for whoever follows it on another node, and which answer it is. Null: nothing,
-- or the execution is over.
alter table prompt_executions add column draft text;
alter table prompt_executions add column draft_attempt bigint;

-- Organizations whose sums are compared with those of their members: a node of the version before 0026 keeps the latter alone. Whoever
-- takes something from an organization's sums, or counts them anew, holds its row.
create table prompt_sum_checks (
    organization_id {uuid} not null primary key,
    -- Until when they are compared. Null: they never were.
    ends_at bigint
);

-- What was asked most on a day is read in its order, so that a day costs as much however much was asked on it; how often, by its key.
create index prompt_question_usage_of_question on prompt_question_usage (organization_id, question_key, quarter);
create index prompt_organization_question_usage_most
    on prompt_organization_question_usage (organization_id, day, executions, question_key);
create index prompt_organization_question_usage_of_question
    on prompt_organization_question_usage (organization_id, question_key, day, executions);
