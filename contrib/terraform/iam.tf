# SPDX-License-Identifier: Apache-2.0
#
# Three roles. gantryd's takes messages and starts tasks of one family on one cluster; the execution
# role lets ECS pull the image and write the log; the task role publishes. contrib/iam has the first
# as plain JSON.

data "aws_iam_policy_document" "gantryd_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = var.gantryd_principals
    }
  }
}

resource "aws_iam_role" "gantryd" {
  name               = "${var.name}-gantryd"
  assume_role_policy = data.aws_iam_policy_document.gantryd_trust.json
}

resource "aws_iam_instance_profile" "gantryd" {
  name = "${var.name}-gantryd"
  role = aws_iam_role.gantryd.name
}

data "aws_iam_policy_document" "gantryd" {
  # Batch calls are covered by the permission for the single call.
  statement {
    sid = "Queues"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:GetQueueUrl",
      "sqs:ReceiveMessage",
      "sqs:SendMessage",
    ]
    resources = [
      aws_sqs_queue.requests.arn,
      aws_sqs_queue.ordered.arn,
    ]
  }

  statement {
    sid = "TaskEvents"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:ReceiveMessage",
    ]
    resources = [aws_sqs_queue.events.arn]
  }

  # Any revision of the one family, on the one cluster.
  statement {
    sid       = "Launch"
    actions   = ["ecs:RunTask"]
    resources = ["${aws_ecs_task_definition.deployer.arn_without_revision}:*"]
    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [aws_ecs_cluster.deployments.arn]
    }
  }

  statement {
    sid       = "TagWhatIsLaunched"
    actions   = ["ecs:TagResource"]
    resources = ["arn:${local.partition}:ecs:${var.region}:${local.account}:task/${aws_ecs_cluster.deployments.name}/*"]
    condition {
      test     = "StringEquals"
      variable = "ecs:CreateAction"
      values   = ["RunTask"]
    }
  }

  statement {
    sid       = "WatchAndStop"
    actions   = ["ecs:DescribeTasks", "ecs:StopTask"]
    resources = ["arn:${local.partition}:ecs:${var.region}:${local.account}:task/${aws_ecs_cluster.deployments.name}/*"]
    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [aws_ecs_cluster.deployments.arn]
    }
  }

  # Where it is, deployers say by their logs: DescribeTaskDefinition could be granted for all of the account only.
  statement {
    sid       = "ReadWhatTasksWrite"
    actions   = ["logs:GetLogEvents"]
    resources = ["${aws_cloudwatch_log_group.deployments.arn}:*"]
  }

  # ListTasks has no resource of its own; the cluster is a condition.
  statement {
    sid       = "LookBeforeLaunch"
    actions   = ["ecs:ListTasks"]
    resources = ["*"]
    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [aws_ecs_cluster.deployments.arn]
    }
  }

  # Without the condition, whoever holds this role could hand these two to another service.
  statement {
    sid       = "GiveTasksTheirRoles"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.execution.arn, aws_iam_role.task.arn]
    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }

  dynamic "statement" {
    for_each = var.kms_key_arn == "" ? [] : [var.kms_key_arn]
    content {
      sid       = "EncryptedQueues"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["sqs.${var.region}.amazonaws.com"]
      }
    }
  }

  dynamic "statement" {
    for_each = var.sns_topic_arn == "" ? [] : [var.sns_topic_arn]
    content {
      sid       = "Results"
      actions   = ["sns:Publish"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role_policy" "gantryd" {
  name   = "gantryd"
  role   = aws_iam_role.gantryd.id
  policy = data.aws_iam_policy_document.gantryd.json
}

# Only tasks of this account take the two roles below.
data "aws_iam_policy_document" "task_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  assume_role_policy = data.aws_iam_policy_document.task_trust.json
}

data "aws_iam_policy_document" "execution" {
  statement {
    sid       = "Registry"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid = "Image"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchGetImage",
      "ecr:GetDownloadUrlForLayer",
    ]
    resources = [aws_ecr_repository.deployer.arn]
  }

  statement {
    sid       = "Output"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.deployments.arn}:*"]
  }
}

resource "aws_iam_role_policy" "execution" {
  name   = "execution"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}

resource "aws_iam_role" "task" {
  name               = "${var.name}-task"
  assume_role_policy = data.aws_iam_policy_document.task_trust.json
}

data "aws_iam_policy_document" "task" {
  statement {
    sid       = "FindWhatIsPublished"
    actions   = ["s3:ListBucket"]
    resources = ["arn:${local.partition}:s3:::${var.publish_bucket}"]
  }

  statement {
    sid       = "Publish"
    actions   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    resources = ["arn:${local.partition}:s3:::${var.publish_bucket}/*"]
  }
}

resource "aws_iam_role_policy" "task" {
  name   = "task"
  role   = aws_iam_role.task.id
  policy = data.aws_iam_policy_document.task.json
}
