# SPDX-License-Identifier: Apache-2.0
#
# ECS tells of each stopped task through EventBridge, at least once and in no order. gantryd may
# take these from a queue instead of asking for the state of its tasks; it still asks now and then.

resource "aws_sqs_queue" "events_dead" {
  name                      = "${var.name}-task-events-dead"
  message_retention_seconds = local.two_weeks_s
  sqs_managed_sse_enabled   = true
}

# A stopped task can be asked about for an hour; an event older than that day helps nobody.
resource "aws_sqs_queue" "events" {
  name                       = "${var.name}-task-events"
  visibility_timeout_seconds = 60
  receive_wait_time_seconds  = 20
  message_retention_seconds  = 86400
  sqs_managed_sse_enabled    = true
}

resource "aws_cloudwatch_event_rule" "task_stopped" {
  name        = "${var.name}-task-stopped"
  description = "Deployment tasks that have stopped"
  event_pattern = jsonencode({
    source      = ["aws.ecs"]
    detail-type = ["ECS Task State Change"]
    detail = {
      clusterArn = [aws_ecs_cluster.deployments.arn]
      lastStatus = ["STOPPED"]
    }
  })
}

resource "aws_cloudwatch_event_target" "task_stopped" {
  rule = aws_cloudwatch_event_rule.task_stopped.name
  arn  = aws_sqs_queue.events.arn

  dead_letter_config {
    arn = aws_sqs_queue.events_dead.arn
  }

  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 185
  }
}

data "aws_iam_policy_document" "events_queue" {
  for_each = {
    events = aws_sqs_queue.events.arn
    dead   = aws_sqs_queue.events_dead.arn
  }

  statement {
    sid       = "EventBridge"
    actions   = ["sqs:SendMessage"]
    resources = [each.value]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.task_stopped.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.events.id
  policy    = data.aws_iam_policy_document.events_queue["events"].json
}

resource "aws_sqs_queue_policy" "events_dead" {
  queue_url = aws_sqs_queue.events_dead.id
  policy    = data.aws_iam_policy_document.events_queue["dead"].json
}
